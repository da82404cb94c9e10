"""Which files and folders are named after splits."""

import re
from collections.abc import Collection

# Word -> the split that it stands for.
_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
# A word with the number of a piece, such as train-00000-of-00002, train_1 or test3.
_PIECE = re.compile(r"([a-z]+)[-_.]?\d+(?:-of-\d+)?")
_WORD_IN_NAME = re.compile(rf"(?<![a-z])({'|'.join(_WORDS)})(?![a-z])")


def splits_of_folders(names: Collection[str]) -> dict[str, str]:
    """The folders among ``names`` that are named after splits, with their splits.

    A folder is named after a split if its whole name is such a word, and all other folders are named so too, or at
    least the training split and another one are among them. So ``train`` beside ``plane`` and ``ship`` is a class.
    Names that differ in nothing but the word count too: ``seg_train`` and ``seg_test``.

    Args:
        names: the names of all folders in one folder.

    Returns:
        Name -> ``train``, ``validation`` or ``test``; empty if they are not named after splits.
    """
    splits = {name: _WORDS[name.lower()] for name in names if name.lower() in _WORDS}
    if splits and (len(splits) == len(names) or _include_training(splits)):
        return splits
    return _splits_of_siblings(names)


def splits_of_files(names: Collection[str]) -> dict[str, str]:
    """The files among ``names`` that are named after splits, with their splits.

    A file is named after a split if a part of its name between dots is such a word (``train.csv``,
    ``wiki.valid.tokens``), also with a number (``train-00000-of-00002.csv``), or if there are files whose names differ
    from its name in nothing but the word (``reviews_train.csv`` and ``reviews_test.csv``).

    Args:
        names: the names of all files in one folder.

    Returns:
        Name -> ``train``, ``validation`` or ``test``, for the files that are named so.
    """
    splits = _splits_of_siblings(names)
    for name in names:
        for part in name.lower().split("."):
            piece = _PIECE.fullmatch(part)
            word = piece[1] if piece else part
            if word in _WORDS:
                splits[name] = _WORDS[word]
    return splits


def _splits_of_siblings(names: Collection[str]) -> dict[str, str]:
    """Names that differ in nothing but the word, which stands for training in at least one of them."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        words = _WORD_IN_NAME.findall(name.lower())
        if len(words) == 1:
            rest = _WORD_IN_NAME.sub("", name.lower())
            groups.setdefault(rest, {})[name] = _WORDS[words[0]]
    splits: dict[str, str] = {}
    for group in groups.values():
        if _include_training(group):
            splits |= group
    return splits


def _include_training(splits: dict[str, str]) -> bool:
    """Whether there is the training split, and another one."""
    return "train" in splits.values() and len(set(splits.values())) > 1
