"""The one rule for labels that are texts: which of them are one class, and the order of the classes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_MISSING = {"nan", "NaN"}
# Classes that a note names, if there are more than this.
_MOST_NAMED = 10
# With as many training samples, a class has enough for a share of every split.
_ENOUGH = 3


@dataclass(frozen=True)
class Classes:
    """The classes of a data set."""

    names: tuple[str, ...]
    """A name for each class number."""
    numbers: Mapping[str, int]
    """Class number of each label, as the label is written in the data."""
    notes: tuple[str, ...] = ()
    """Lines about labels that were taken for one class."""

    @property
    def present_names(self) -> tuple[str, ...]:
        """The names of the classes that have a label in the data; a run may have more."""
        present = set(self.numbers.values())
        return tuple(name for number, name in enumerate(self.names) if number in present)

    @property
    def name_of_label(self) -> dict[str, str]:
        """The class's name of each label, as the label is written in the data."""
        return {label: self.names[number] for label, number in self.numbers.items()}

    def counts(self, labels: Mapping[str, int]) -> Counter[int]:
        """The number of samples of each class number.

        Args:
            labels: the number of samples of each label, as the label is written in the data.
        """
        counts: Counter[int] = Counter()
        for label, count in labels.items():
            counts[self.numbers[label]] += count
        return counts


def is_number(text: str) -> bool:
    """Whether a text is a number, as data sets write numbers."""
    return _NUMBER.fullmatch(text.strip()) is not None


def plain_label(label: str) -> str:
    """A label without what does not count: spaces around it, and the form in which Unicode writes an accent."""
    return unicodedata.normalize("NFC", label.strip())


def stands_for_no_label(label: str) -> bool:
    """Whether a label is how pandas, and other programs after it, write that there is none."""
    return label.strip() in _MISSING


def classes_of(labels: Iterable[str], trained_names: Sequence[str] = (), *, exact: bool = False) -> Classes:
    """Gives each label its class.

    Spaces around a label do not count, nor does the form in which Unicode writes an accent (macOS writes file names in
    another one than Linux). If all labels are numbers, equal numbers are one class (``0`` and ``0.0``), and classes are
    in the order of the numbers; otherwise they are in alphabetical order.

    Args:
        labels: as they are written in the data.
        trained_names: the classes of a run, if it has begun before. They keep their numbers, whatever the rule was
            then; classes that the run does not have come after them.
        exact: whether every label is a class, as it is written. The order is the same.

    Returns:
        The classes.
    """
    distinct = set(labels)
    are_numbers = all(map(is_number, distinct))

    def key_of(label: str) -> Decimal | str:
        return label if exact else _key(label, are_numbers)

    spellings: dict[Decimal | str, list[str]] = {}
    for label in sorted(distinct, key=lambda label: (_key(label, are_numbers), label)):
        spellings.setdefault(key_of(label), []).append(label)
    names = list(trained_names)
    # The run may have told two spellings apart, so a label that it has counts before an equal one.
    number_of_name = {name: number for number, name in enumerate(trained_names)}
    number_of_key = {key_of(name): number for number, name in reversed(list(enumerate(trained_names)))}
    numbers: dict[str, int] = {}
    for key, equal_labels in spellings.items():
        if key not in number_of_key:
            number_of_key[key] = len(names)
            names.append(equal_labels[0] if exact else _name_of(equal_labels))
        for label in equal_labels:
            numbers[label] = number_of_name.get(label, number_of_key[key])
    return Classes(tuple(names), numbers, _notes(numbers))


def unequal_classes_notes(
    names: Sequence[str], counts: Mapping[str, Counter[int]], by_content: Collection[str] = ()
) -> tuple[str, ...]:
    """Lines about classes that the training split lacks, or that it alone has.

    Args:
        names: the classes.
        counts: split -> class number -> number of samples.
        by_content: the splits to which samples were assigned one by one, without regard to their classes. If a class
            with enough samples has none there, the line names the option that prevents it.
    """
    train = set(counts["train"])
    untrained = sorted(set().union(*map(set, counts.values())) - train)
    notes = []
    if untrained:
        notes.append(f"without training samples, so never predicted: {shown([names[number] for number in untrained])}")
    for split in ("validation", "test"):
        missing = sorted(train - set(counts[split]))
        if not missing:
            continue
        note = f"without {split} samples: {shown([names[number] for number in missing])}"
        if split in by_content and any(counts["train"][number] >= _ENOUGH for number in missing):
            note += " (--stratified gives each class a share of every split)"
        notes.append(note)
    return tuple(notes)


def shown(names: Sequence[str]) -> str:
    """Names for a message: all of a few, or the first of many and how many more there are."""
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    named = names[: _MOST_NAMED - 1]
    return f"{', '.join(named)} and {len(names) - len(named):,} more"


def _key(label: str, are_numbers: bool) -> Decimal | str:
    """Equal for labels of one class."""
    plain = plain_label(label)
    return Decimal(plain) if are_numbers and is_number(plain) else plain


def _name_of(spellings: Sequence[str]) -> str:
    """The shortest spelling; of equally long ones the first in alphabetical order."""
    return min(map(plain_label, spellings), key=lambda name: (len(name), name))


def _notes(numbers: Mapping[str, int]) -> tuple[str, ...]:
    labels: dict[int, list[str]] = {}
    for label, number in numbers.items():
        labels.setdefault(number, []).append(label)
    return tuple(
        f"taken for one class: {', '.join(map(repr, spellings))} (--exact-labels keeps them apart)"
        for spellings in labels.values()
        if len(spellings) > 1
    )
