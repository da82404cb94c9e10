"""What is left out of a data set, in few lines."""

from dataclasses import dataclass, field

# Places with one reason that have separate lines; more are counted in one line.
_MOST_PLACES = 3


@dataclass(frozen=True)
class _Place:
    where: str
    count: int


@dataclass
class LeftOut:
    """Files that are left out, by reason."""

    _places: dict[str, list[_Place]] = field(default_factory=dict)

    def add(self, count: int, where: str, reason: str) -> None:
        """Notes files that are left out; nothing if there are none.

        Args:
            count: their number.
            where: where they are, such as ``in train/unsup``.
            reason: why they are left out.
        """
        if count:
            self._places.setdefault(reason, []).append(_Place(where, count))

    @property
    def notes(self) -> list[str]:
        """A line for each place, or one line for many places with the same reason."""
        notes = []
        for reason, places in self._places.items():
            if len(places) <= _MOST_PLACES:
                notes += [f"left out: {_files(place.count)} {place.where}: {reason}" for place in places]
            else:
                count = sum(place.count for place in places)
                where = f"in {len(places):,} places, such as {places[0].where.removeprefix('in ')}"
                notes.append(f"left out: {_files(count)} {where}: {reason}")
        return notes


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
