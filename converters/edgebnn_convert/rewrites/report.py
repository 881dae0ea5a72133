"""What the rewrites did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One rewrite at one place, or why it was not done there."""

    rewrite: str
    layers: str
    text: str
    done: bool = True

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.rewrite}, {self.layers}: {self.text}"
