"""Splits of which each class has its share, however rare it is."""

from array import array
from collections.abc import Mapping

import numpy as np

from tfdl.data.hash_split import BUCKETS

# Of the different samples of a class, one of this many is for validation, and one for the test.
_HELD_OUT = 10


class ClassNumbers:
    """The numbers of the samples of each class that are assigned to splits one by one."""

    def __init__(self) -> None:
        self._unnamed: dict[str, array[int]] = {}
        self._for_training: dict[str, array[int]] = {}

    def add(self, label: str, number: int, *, is_for_training: bool) -> None:
        """Adds a sample.

        Args:
            label: its class.
            number: its ``content_number``.
            is_for_training: whether its file is named after the training split. Then nothing but validation samples is
                held out of it.
        """
        numbers = self._for_training if is_for_training else self._unnamed
        numbers.setdefault(label, array("Q")).append(number)

    def merged(self, classes: Mapping[str, str]) -> "ClassNumbers":
        """The same samples by class.

        Args:
            classes: label -> class.
        """
        merged = ClassNumbers()
        for ours, theirs in ((self._unnamed, merged._unnamed), (self._for_training, merged._for_training)):
            for label, numbers in ours.items():
                theirs.setdefault(classes[label], array("Q")).extend(numbers)
        return merged

    def groups(self) -> "list[tuple[array[int], bool]]":
        """The numbers that are split by themselves, and whether a part of them is for the test."""
        for_training = [(self._for_training[label], False) for label in sorted(self._for_training)]
        return for_training + [(self._unnamed[label], True) for label in sorted(self._unnamed)]


class StratifiedSplits:
    """The split of a sample by its number, so that each class has 80% of its different samples in training.

    The different samples of a class are put in the order of the buckets by which ``split_of_number`` decides, and of
    their numbers in a bucket. The first tenth is for validation, and the second one for the test, both rounded, and at
    least one sample if the class has enough: two, of which one is for validation, or three. The order of samples has
    no influence. A sample that is added moves at most a few others of its class, those next to the two boundaries.

    Equal samples share a split. If several classes have a sample, it counts for the first of them, by name. A sample
    of unnamed files that files for training have, too, counts for these.

    Args:
        numbers: the samples that are to be split.
    """

    def __init__(self, numbers: ClassNumbers):
        self._held_out: dict[int, str] = {}
        groups = numbers.groups()
        if not groups:
            return
        group_of = np.repeat(np.arange(len(groups)), [len(members) for members, _ in groups])
        # The first of equal numbers is that of the first group.
        distinct, first = np.unique(np.concatenate([members for members, _ in groups]), return_index=True)
        group_of = group_of[first]
        order = np.lexsort((distinct, distinct % BUCKETS, group_of))
        ends = np.searchsorted(group_of[order], np.arange(len(groups)), side="right")
        begin = 0
        for (_, has_test), end in zip(groups, ends, strict=True):
            members = distinct[order[begin:end]]
            begin = end
            num_validation, num_test = _sizes(len(members), has_test)
            held_out = members[: num_validation + num_test].tolist()
            self._held_out.update(dict.fromkeys(held_out[:num_validation], "validation"))
            self._held_out.update(dict.fromkeys(held_out[num_validation:], "test"))

    def of_number(self, number: int) -> str:
        """``train``, ``validation`` or ``test``.

        Args:
            number: the ``content_number`` of a sample.
        """
        return self._held_out.get(number, "train")


def _sizes(count: int, has_test: bool) -> tuple[int, int]:
    """How many of a class's different samples are for validation, and for the test."""
    rounded = (count + _HELD_OUT // 2) // _HELD_OUT
    num_validation = max(rounded, 1) if count >= 2 else 0
    num_test = max(rounded, 1) if has_test and count >= 3 else 0
    return num_validation, num_test
