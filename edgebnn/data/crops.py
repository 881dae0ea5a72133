"""Training crops: face-anchored windows, mosaics and negatives, with geometric and colour augmentation.

Everything random is drawn from the generator that is passed in, so that a crop is a function of its seed.
"""

from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import pydantic
from pydantic import Field

from edgebnn.data.pictures import Boxes, Image, Pictures

Share = Annotated[float, Field(ge=0, le=1)]
Flags = npt.NDArray[np.bool_]


class Sides(pydantic.BaseModel):
    """Longer side that a face is brought to, drawn log-uniformly, in input pixels."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    smallest: Annotated[float, Field(gt=0)] = 9
    largest: Annotated[float, Field(gt=0)] = 120

    @pydantic.model_validator(mode="after")
    def _ascending(self) -> Sides:
        if self.smallest > self.largest:
            raise ValueError(f"smallest, {self.smallest:g}, is above largest, {self.largest:g}")
        return self


class Crops(pydantic.BaseModel):
    """How crops are cut and changed."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    negatives: Annotated[Share, Field(description="crops of pictures without any box")] = 0.1
    anywhere: Annotated[Share, Field(description="crops at any place of any picture")] = 0.05
    mosaic: Annotated[Share, Field(description="crops made of four of half the side")] = 0.2
    mosaic_sides: Annotated[Sides, Field(description="in a quarter of 64 pixels")] = Sides(smallest=9, largest=50)
    least_scale: Annotated[float, Field(gt=0, le=1, description="pictures are shrunk at most to this")] = 0.3
    most_scale: Annotated[float, Field(ge=1, description="and enlarged at most by this")] = 2.2
    aspect: Annotated[Share, Field(description="width is stretched by up to 1 + this, or shrunk")] = 0.12
    tilted: Annotated[Share, Field(description="crops that are turned")] = 0
    most_tilt: Annotated[float, Field(gt=0, le=90, description="by up to this to either side, degrees")] = 25
    flip: Share = 0.5
    colour: Annotated[Share, Field(description="brightness, contrast, saturation and tint change")] = 0.7
    grey: Share = 0.1
    blur: Share = 0.1
    weights: Annotated[
        dict[str, Annotated[float, Field(ge=0)]],
        Field(description="how often pictures are taken, by the source that their annotation names; 1 for others"),
    ] = {}
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    least_side: Annotated[float, Field(ge=0, description="shorter faces are masked, input pixels")] = 6
    least_visible: Annotated[Share, Field(description="faces of which less is inside of the crop are masked")] = 0.45


class Cutter:
    """Cuts crops from pictures."""

    def __init__(self, pictures: Pictures, how: Crops) -> None:
        """Cut from `pictures` as `how` says."""
        self.pictures = pictures
        self.how = how
        faces = [int((~item.ignore).sum()) for item in pictures.items]
        self.with_faces = np.flatnonzero(faces)
        self.negatives = np.flatnonzero([not len(item.boxes) for item in pictures.items])
        # A crowd counts more than a portrait, but not by its head count.
        weight = np.minimum(np.sqrt(np.array(faces, np.float64)[self.with_faces]), 3)
        weight *= [how.weights.get(pictures.items[index].source, 1) for index in self.with_faces]
        self._chance = np.cumsum(weight) / max(weight.sum(), 1e-9)

    def cut(self, random: np.random.Generator, side: int, sides: Sides) -> tuple[Image, Boxes, Flags]:
        """A crop (side, side, 3), its boxes (n, 4) as x1, y1, x2, y2 clipped to it, and which of them to mask (n,)."""
        how = self.how
        if random.random() < how.mosaic:
            half = side // 2
            image = np.empty((2 * half, 2 * half, 3), np.uint8)
            parts = []
            for x, y in ((0, 0), (half, 0), (0, half), (half, half)):
                zoom = half / 64
                small = Sides(
                    smallest=min(sides.smallest, how.mosaic_sides.smallest * zoom),
                    largest=how.mosaic_sides.largest * zoom,
                )
                image[y : y + half, x : x + half], boxes, mask = self._window(random, half, small)
                parts.append((boxes + np.array([x, y, x, y], np.float32), mask))
            boxes, mask = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
        else:
            image, boxes, mask = self._window(random, side, sides)
        return self._recolour(random, image), boxes, mask

    def _window(self, random: np.random.Generator, side: int, sides: Sides) -> tuple[Image, Boxes, Flags]:
        how = self.how
        kind = random.random()
        negatives = how.negatives if len(self.negatives) else 0
        if kind < negatives:
            index, anchor = int(random.choice(self.negatives)), None
        elif kind < negatives + how.anywhere or not len(self.with_faces):
            index, anchor = int(random.integers(len(self.pictures))), None
        else:
            index = int(self.with_faces[np.searchsorted(self._chance, random.random(), side="right")])
            item = self.pictures.items[index]
            anchor = item.boxes[random.choice(np.flatnonzero(~item.ignore))]
        image, item = self.pictures.image(index), self.pictures.items[index]
        height, width = image.shape[:2]
        if anchor is None:
            scale = float(np.exp(random.uniform(np.log(how.least_scale), np.log(how.most_scale))))
            x, y = random.uniform(0, width), random.uniform(0, height)
            place = np.array([0.5, 0.5])
        else:
            wanted = np.exp(random.uniform(np.log(sides.smallest), np.log(sides.largest)))
            scale = float(np.clip(wanted / max(anchor[2], anchor[3]), how.least_scale, how.most_scale))
            x, y = anchor[0] + anchor[2] / 2, anchor[1] + anchor[3] / 2
            # Where in the crop the face's centre goes: so that the face is inside where it fits.
            margin = np.minimum(anchor[2:] * scale / 2 / side, 0.5) * 0.8
            place = random.uniform(margin, 1 - margin)
        stretch = np.exp(random.uniform(-1, 1) * np.log1p(how.aspect) / 2)
        scale_x, scale_y = scale * stretch, scale / stretch
        tilt = random.uniform(-how.most_tilt, how.most_tilt) if how.tilted and random.random() < how.tilted else 0.0
        # A turned crop is cut out of a larger upright one, in which its middle is the middle.
        sine, cosine = np.sin(np.radians(tilt)), np.cos(np.radians(tilt))
        whole = int(np.ceil(side * (cosine + abs(sine))))
        shift = _turn((place - 0.5) * side, sine, cosine) + whole / 2
        left, top = round(x - shift[0] / scale_x), round(y - shift[1] / scale_y)
        across, down = max(round(whole / scale_x), 1), max(round(whole / scale_y), 1)
        smooth = across > 2 * whole or random.random() < 0.5  # devices shrink by less than half without averaging
        crop = _cut_window(image, left, top, across, down, whole, pad=how.pad, smooth=smooth)
        zoom = np.array([whole / across, whole / down] * 2, np.float32)
        boxes = (item.boxes + np.concatenate([np.zeros_like(item.boxes[:, :2]), item.boxes[:, :2]], axis=1)) - np.array(
            [left, top] * 2, np.float32
        )
        boxes = (boxes * zoom).astype(np.float32)
        if tilt:
            # Output pixel p shows pixel _turn(p - side / 2) + whole / 2; OpenCV counts from pixels' centres.
            back = np.array([[cosine, -sine], [sine, cosine]])
            offset = whole / 2 - 0.5 - back @ np.full(2, side / 2 - 0.5)
            matrix = np.concatenate([back, offset[:, None]], axis=1)
            crop = cv2.warpAffine(
                crop, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=(how.pad,) * 3
            )
            boxes = _turn_boxes(boxes - np.float32(whole / 2), -sine, cosine) + np.float32(side / 2)
        mask = item.ignore
        if random.random() < how.flip:
            crop = crop[:, ::-1]
            boxes = np.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], axis=1)
        return crop, *self._clip(boxes, mask, side)

    def _clip(self, boxes: Boxes, mask: Flags, side: int) -> tuple[Boxes, Flags]:
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        clipped = np.clip(boxes, 0, side)
        size = clipped[:, 2:] - clipped[:, :2]
        seen = np.prod(size, axis=1)
        inside = seen > 0
        mask = mask | (size.max(axis=1, initial=0) < self.how.least_side) | (seen < self.how.least_visible * area)
        return clipped[inside], mask[inside]

    def _recolour(self, random: np.random.Generator, image: Image) -> Image:
        how = self.how
        change, grey, blur = random.random(3)
        out = image
        if change < how.colour:
            gain = np.exp(random.uniform(-0.35, 0.35)) * np.exp(random.uniform(-0.08, 0.08, 3))
            middle = random.uniform(90, 150)
            offset = random.uniform(-30, 30)
            tables = (np.arange(256)[None, :] - middle) * gain[:, None] + middle + offset
            tables = np.clip(tables, 0, 255).astype(np.uint8).T.reshape(256, 1, 3)
            out = cv2.LUT(np.ascontiguousarray(out), tables)
            saturation = random.uniform(0.5, 1.5)
            mean = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2)
            out = cv2.addWeighted(out, saturation, mean, 1 - saturation, 0)
        if grey < how.grey:
            out = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2)
        if blur < how.blur:
            out = cv2.GaussianBlur(out, (0, 0), random.uniform(0.5, 1.4))
        return np.ascontiguousarray(out)


def _turn(points: npt.NDArray[Any], sine: float, cosine: float) -> npt.NDArray[Any]:
    """Points (..., 2) turned about the origin, from the x axis towards the y axis."""
    x, y = points[..., 0], points[..., 1]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1)


def _turn_boxes(boxes: Boxes, sine: float, cosine: float) -> Boxes:
    """Boxes (n, 4) as x1, y1, x2, y2 around the turned ellipses that they are around: faces are rounder than boxes."""
    centre = _turn((boxes[:, :2] + boxes[:, 2:]) / 2, sine, cosine)
    across, down = ((boxes[:, 2:] - boxes[:, :2]) / 2).T
    half = np.stack([np.hypot(cosine * across, sine * down), np.hypot(sine * across, cosine * down)], axis=1)
    turned: Boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return turned


def _cut_window(
    image: Image, left: int, top: int, across: int, down: int, side: int, *, pad: int, smooth: bool
) -> Image:
    """The window of `image`, padded where it sticks out, resized to (side, side, 3), averaging areas if `smooth`."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + across, width), min(top + down, height)
    out = np.full((side, side, 3), pad, np.uint8)
    if x2 <= x1 or y2 <= y1:
        return out
    to = [round((x1 - left) * side / across), round((y1 - top) * side / down)]
    end = [round((x2 - left) * side / across), round((y2 - top) * side / down)]
    if end[0] <= to[0] or end[1] <= to[1]:
        return out
    how = cv2.INTER_AREA if smooth and across > side else cv2.INTER_LINEAR
    piece = cv2.resize(image[y1:y2, x1:x2], (end[0] - to[0], end[1] - to[1]), interpolation=how)
    out[to[1] : end[1], to[0] : end[0]] = piece
    return out
