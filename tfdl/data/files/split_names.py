"""Which files and folders are named after splits."""

import re
from collections.abc import Collection, Iterable, Mapping

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
# A word with the number of a piece, such as train-00000-of-00002, train_1 or test3, perhaps with a digest after it.
_PIECE = re.compile(r"([a-z]+)[-_.]?\d+(?:-of-\d+(?:-[0-9a-f]+)?)?")
_WORD_IN_NAME = re.compile(rf"(?<![a-z])({'|'.join(_WORDS)})(?![a-z])")


def splits_of_folders(folders: Mapping[str, bool]) -> dict[str, str]:
    """The folders that are named after splits, with their splits, where classes are folders too.

    They are named after splits if

    - the whole names are such words, of all folders, or of the training split and another one at least;
    - one is ``train``, and there are folders in it, which are then the classes (``train`` beside ``test_final``);
    - names differ in nothing but the word (``seg_train``, ``seg_test``);
    - there are folders in those that have such words in their names, of the training split and another one at least.

    Otherwise they are classes: ``train`` beside ``plane`` and ``ship``, or ``test_bench`` beside ``train_station``.

    Args:
        folders: name of each folder in one folder -> whether there are folders in it.

    Returns:
        Name -> ``train``, ``validation`` or ``test``; empty if they are not named after splits.
    """
    whole = {name: _WORDS[name.lower()] for name in folders if name.lower() in _WORDS}
    has_classes_in_training = any(split == "train" and folders[name] for name, split in whole.items())
    if whole and (len(whole) == len(folders) or _include_training(whole) or has_classes_in_training):
        return {**_words_in(folders), **whole}
    siblings = _splits_of_siblings(folders)
    if siblings:
        return siblings
    named = _words_in(folders)
    if _include_training(named) and all(folders[name] for name in named):
        return named
    return {}


def splits_of_files(names: Collection[str], *, is_text_each: bool = False) -> dict[str, str]:
    """The files, or folders of files without classes, that are named after splits, with their splits.

    A file is named after a split if a part of its name between dots is such a word (``train.csv``,
    ``wiki.valid.tokens``), also with a number (``train-00000-of-00002.csv``), or if there are files whose names differ
    from its name in nothing but the word (``reviews_train.csv`` and ``reviews_test.csv``). Any word in a name counts if
    there are such words for the training split and another one (``train.csv`` and ``test_small.csv``); for files that
    are one text each, only if each of them has such a word, since ``A Test of Wills.txt`` is a novel.

    Args:
        names: the names of all files in one folder.
        is_text_each: whether each file is one text.

    Returns:
        Name -> ``train``, ``validation`` or ``test``, for the files that are named so.
    """
    splits = _splits_of_siblings(names)
    named = _words_in(names)
    if _include_training(named) and (not is_text_each or len(named) == len(names)):
        splits |= named
    for name in names:
        for part in name.lower().split("."):
            piece = _PIECE.fullmatch(part)
            word = piece[1] if piece else part
            if word in _WORDS:
                splits[name] = _WORDS[word]
    return splits


def has_split_word(name: str) -> bool:
    """Whether a name contains a word for a split."""
    return _WORD_IN_NAME.search(name.lower()) is not None


def _words_in(names: Iterable[str]) -> dict[str, str]:
    """The names that contain words for one split."""
    found = {}
    for name in names:
        splits = {_WORDS[word] for word in _WORD_IN_NAME.findall(name.lower())}
        if len(splits) == 1:
            (found[name],) = splits
    return found


def _splits_of_siblings(names: Iterable[str]) -> dict[str, str]:
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


def _include_training(splits: Mapping[str, str]) -> bool:
    """Whether there is the training split, and another one."""
    return "train" in splits.values() and len(set(splits.values())) > 1
