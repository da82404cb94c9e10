"""The split of each sample of the user's files, by the name of its file or by its content."""

from collections.abc import Callable, Collection

from tfdl.data.hash_split import content_number, split_of_number


class SplitAssignment:
    """Decides the split of each sample.

    Args:
        named: the splits that files are named after; contains ``None`` if some file is named after no split.
        split_of_number: the split of a sample by its ``content_number``, where the name of its file does not decide it.
    """

    def __init__(self, named: Collection[str | None], split_of_number: Callable[[int], str] = split_of_number):
        self._has_validation_files = "validation" in named
        self._named = frozenset(named)
        self._split_of_number = split_of_number

    @property
    def splits_by_content(self) -> frozenset[str]:
        """The splits, besides that for training, to which samples are assigned one by one."""
        if None in self._named:
            return frozenset({"validation", "test"})
        return frozenset() if self._has_validation_files else frozenset({"validation"})

    def by(self, split_of_number: Callable[[int], str]) -> "SplitAssignment":
        """The same for files that are named after splits, with another rule for all other samples.

        Args:
            split_of_number: as for the class.
        """
        return SplitAssignment(self._named, split_of_number)

    def of_file(self, named: str | None) -> str | None:
        """The split of all samples of a file, or ``None`` if they are assigned one by one.

        Args:
            named: the split that the file is named after, if any.
        """
        if named == "train" and not self._has_validation_files:
            return None  # the validation samples are held out of it
        return named

    def of_sample(self, named: str | None, content: str | bytes) -> str:
        """The split of one sample of a file.

        Args:
            named: the split that its file is named after, if any.
            content: of the sample; equal samples share a split.
        """
        return self.of_file(named) or self.of_number(named, content_number(content))

    def of_number(self, named: str | None, number: int) -> str:
        """The split of one sample whose number is known.

        Args:
            named: the split that its file is named after, if any.
            number: the ``content_number`` of the sample.
        """
        split_of_file = self.of_file(named)
        if split_of_file is not None:
            return split_of_file
        split = self._split_of_number(number)
        if named == "train" and split == "test":
            return "train"  # only validation samples are held out of files that are named for training
        return split
