"""Light, temperature, humidity, pressure and CO2 from the kernel's IIO drivers, through sysfs.

By the kernel's Documentation/ABI/testing/sysfs-bus-iio a channel is either `<channel>_input`, in the ABI's unit, or
`<channel>_raw`, where (raw + offset) * scale is in that unit; offset and scale belong to the channel, to all channels
of its type, or to all inputs of the device.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("edgebnn.sleep")

IIO_DEVICES = Path("/sys/bus/iio/devices")


@dataclass(frozen=True)
class Quantity:
    """A channel type of the ABI: how its unit becomes ours, and what can be true in a bedroom."""

    channel: str
    factor: float
    lowest: float
    highest: float


QUANTITIES = {
    "light_lux": Quantity("illuminance", 1, 0, 200_000),
    "temperature_c": Quantity("temp", 1e-3, -40, 85),
    "humidity_percent": Quantity("humidityrelative", 1e-3, 0, 100),
    "pressure_hpa": Quantity("pressure", 10, 300, 1200),
    "co2_ppm": Quantity("concentration_co2", 1e4, 0, 100_000),
}
"""Our names; the ABI has lux, millidegrees Celsius, thousandths of a percent, kilopascal and percent."""


@dataclass
class Environment:
    """Reads every quantity for which a device is there; devices may come and go."""

    root: Path = IIO_DEVICES
    devices: dict[str, str] = field(default_factory=dict)
    """Quantity -> name of the IIO device to take it from, where several have it."""
    _complained: set[str] = field(default_factory=set, init=False)

    def read(self) -> dict[str, float]:
        """Our names of what can be measured now, and values; what is missing or absurd is left out."""
        found: dict[str, float] = {}
        for device in self._devices():
            name = _text(device / "name") or device.name
            for quantity, meaning in QUANTITIES.items():
                wanted = self.devices.get(quantity, "")
                if quantity in found or (wanted and wanted not in (name, device.name)):
                    continue
                for channel in _channels(device, meaning.channel):
                    value = self._value(device, channel, meaning, name)
                    if value is not None:
                        found[quantity] = value
                        break
        return found

    def _devices(self) -> list[Path]:
        try:
            found = [path for path in self.root.iterdir() if re.fullmatch(r"iio:device\d+", path.name)]
        except OSError:
            return []
        return sorted(found, key=lambda path: int(path.name.removeprefix("iio:device")))

    def _value(self, device: Path, channel: str, meaning: Quantity, name: str) -> float | None:
        measured = _number(device / f"{channel}_input")
        if measured is None:
            raw = _number(device / f"{channel}_raw")
            offset = _shared(device, channel, "offset")
            scale = _shared(device, channel, "scale")
            if raw is not None:
                measured = (raw + (offset or 0.0)) * (1.0 if scale is None else scale)
        value = None if measured is None else measured * meaning.factor
        good = value is not None and meaning.lowest <= value <= meaning.highest
        key = f"{device.name}/{channel}"
        if not good and key not in self._complained:
            self._complained.add(key)
            log.warning("sensor %s: %s gives no usable value (%s); left out until it does", name, channel, value)
        elif good and key in self._complained:
            self._complained.discard(key)
            log.info("sensor %s: %s measures again", name, channel)
        return value if good else None


def _channels(device: Path, channel: str) -> Iterator[str]:
    """Names of the device's channels of a type: in_temp, in_temp0, in_temp_ambient, in_concentration0_co2 ..."""
    kind, _, modifier = channel.partition("_")
    pattern = re.compile(rf"(in_{kind}\d*{'_' + modifier if modifier else '(?:_[a-z0-9]+)?'})_(?:input|raw)")
    try:
        names = sorted(entry.name for entry in device.iterdir())
    except OSError:
        return
    yield from dict.fromkeys(match[1] for name in names if (match := pattern.fullmatch(name)))


def _shared(device: Path, channel: str, what: str) -> float | None:
    """`scale` or `offset` of a channel: its own, that of its type, that of all inputs."""
    kind = re.sub(r"^(in_[a-z]+)\d*.*", r"\1", channel)
    without_index = re.sub(r"^(in_[a-z]+)\d+", r"\1", channel)
    without_modifier = re.sub(r"^(in_[a-z]+\d*).*", r"\1", channel)
    for name in dict.fromkeys((channel, without_index, without_modifier, kind, "in")):
        value = _number(device / f"{name}_{what}")
        if value is not None:
            return value
    return None


def _text(file: Path) -> str | None:
    # A driver answers EIO, EAGAIN, EBUSY or ETIMEDOUT when its sensor does not; all mean that there is no value now.
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(file: Path) -> float | None:
    text = _text(file)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
