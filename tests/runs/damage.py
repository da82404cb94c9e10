"""Random damage to files: a bit that flips, or an end that is cut off."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Damage:
    """A change to one file, which can be made and undone."""

    path: Path
    bit: int | None = None
    """The bit to flip."""
    length: int | None = None
    """The bytes that remain."""

    @contextmanager
    def done(self) -> Iterator[None]:
        """Within its block the file is damaged."""
        whole = self.path.read_bytes()
        if self.bit is not None:
            changed = bytearray(whole)
            changed[self.bit // 8] ^= 1 << self.bit % 8
        else:
            changed = bytearray(whole[: self.length])
        self.path.write_bytes(changed)
        try:
            yield
        finally:
            self.path.write_bytes(whole)

    def __str__(self) -> str:
        change = f"bit {self.bit} flipped" if self.length is None else f"cut to {self.length} bytes"
        return f"{self.path.name}: {change}"


def random_damages(folder: Path, flips: int, cuts: int, numbers: random.Random) -> list[Damage]:
    """Damages to the files of a folder. Small files are damaged as often as large ones.

    Args:
        folder: whose files are damaged.
        flips: how many bits are flipped, one at a time.
        cuts: how many times a file is cut, by at least one byte.
        numbers: choose the files and places.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    damages = []
    for _ in range(flips):
        path = numbers.choice(paths)
        damages.append(Damage(path, bit=numbers.randrange(8 * path.stat().st_size)))
    for _ in range(cuts):
        path = numbers.choice(paths)
        damages.append(Damage(path, length=numbers.randrange(path.stat().st_size)))
    return damages
