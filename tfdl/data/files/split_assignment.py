"""The split of each sample of the user's files, by the name of its file or by its content."""

from collections.abc import Collection

from tfdl.data.hash_split import hash_split


class SplitAssignment:
    """Decides the split of each sample.

    Args:
        named: the splits that files are named after; contains ``None`` if some file is named after no split.
    """

    def __init__(self, named: Collection[str | None]):
        self._has_validation_files = "validation" in named

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
        split_of_file = self.of_file(named)
        if split_of_file is not None:
            return split_of_file
        return self.of_hashed(named, hash_split(content))

    def of_hashed(self, named: str | None, hashed: str) -> str:
        """The split of one sample whose hash is known.

        Args:
            named: the split that its file is named after, if any.
            hashed: the split by the hash of its content.
        """
        split_of_file = self.of_file(named)
        if split_of_file is not None:
            return split_of_file
        if named == "train" and hashed == "test":
            return "train"  # only validation samples are held out of files that are named for training
        return hashed
