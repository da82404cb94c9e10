"""What the folders of the user's files mean: splits and classes. Images and texts follow the same rules."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfdl.data.files.left_out import LeftOut
from tfdl.data.files.split_names import has_split_word, splits_of_files, splits_of_folders
from tfdl.data.files.tree import Folder, name_of
from tfdl.data.labels import plain_label, shown

# Names of folders of samples that have no label, as data sets are published with them.
_UNLABELLED = {"unsup", "unlabeled", "unlabelled", "unsupervised"}
# Endings that a note names.
_MOST_ENDINGS = 5
_NO_CLASS = "in no class folder"


@dataclass(frozen=True)
class PlacedFile:
    """A file, its class and its split."""

    path: Path
    class_name: str | None
    """The name of the folder that stands for its class; None without classes."""
    split: str | None
    """The split that a folder, or the file itself, is named after, if any."""


@dataclass
class Layout:
    """Files with their classes and splits, and what was left out."""

    files: list[PlacedFile] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    other_notes: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Lines about files that were left out, and why, and about names that may be misread."""
        return [*self.left_out.notes, *self.other_notes]


def files_in_classes(root: Folder) -> Layout:
    """Files below folders that are named after their classes.

    ``<class>/...``, ``<split>/<class>/...`` or ``<class>/<split>/...``. The folder of a class may have folders of its
    own: the outermost one is the class. A folder that contains nothing but one other folder is passed through.

    Args:
        root: the data set.
    """
    layout = Layout()
    top = _passed_through(root)
    splits = _splits_in(top)
    if splits:
        _add_splits(layout, top, splits)
    elif _are_classes_of_splits(top):
        for name, folder in top.folders.items():
            for inner_name, split in _splits_in(folder).items():
                _add_class(layout, name, folder.folders[inner_name], split)
    else:
        for name, folder in top.folders.items():
            _add_class(layout, name, folder, None)
        _note_words(layout, "taken for classes", top.folders)
    layout.left_out.add(len(top.files), _directly_in(top, root), _NO_CLASS)
    _note_bare(layout, top, root)
    layout.files.sort(key=lambda file: file.path)
    _leave_out_others(layout, root)
    return layout


def files_without_classes(root: Folder, *, is_text_each: bool = False) -> Layout:
    """All files, with the splits that their folders or their own names stand for.

    Args:
        root: the data set.
        is_text_each: whether each file is one text.
    """
    layout = Layout()
    _add_files(layout, root, None, is_text_each=is_text_each)
    layout.files.sort(key=lambda file: file.path)
    _leave_out_others(layout, root)
    if not is_text_each:
        unplaced = [file.path.name for file in layout.files if file.split is None]
        _note_words(layout, "dealt out to all splits by content", unplaced)
    return layout


def _add_files(layout: Layout, folder: Folder, split: str | None, *, is_text_each: bool) -> None:
    """``split`` is that of the folder; None if neither it nor an outer folder is named after one."""
    splits_by_folder: dict[str, str] = {}
    splits_by_file: dict[str, str] = {}
    if split is None:
        splits_by_folder = splits_of_files(folder.folders, is_text_each=is_text_each)
        splits_by_file = splits_of_files([file.name for file in folder.files], is_text_each=is_text_each)
    for file in folder.files:
        layout.files.append(PlacedFile(file, None, split or splits_by_file.get(file.name)))
    for name, inner in folder.folders.items():
        _add_files(layout, inner, split or splits_by_folder.get(name), is_text_each=is_text_each)


def _add_splits(layout: Layout, top: Folder, splits: Mapping[str, str]) -> None:
    """The classes of each split. Folders that stand for no class of the training split are not labelled, or wrong."""
    # The training split comes first: it decides what is a class.
    order = sorted(splits, key=lambda name: splits[name] != "train")
    train_classes: set[str] = set()
    classes_elsewhere = _names_of_classes(top.folders[name] for name in splits if splits[name] != "train")
    for name in order:
        folder = _passed_through(top.folders[name], train_classes)
        layout.left_out.add(len(folder.files), _directly_in(folder, top), _NO_CLASS)
        _note_bare(layout, folder, top)
        is_train = splits[name] == "train"
        if train_classes and not is_train and not train_classes & set(map(plain_label, folder.folders)):
            for inner in folder.folders.values():
                _leave_out_folder(layout, inner, top, "named after no class of the training files")
            continue
        for class_name, inner in folder.folders.items():
            is_only_here = is_train and classes_elsewhere and plain_label(class_name) not in classes_elsewhere
            if is_only_here and class_name.lower() in _UNLABELLED:
                _leave_out_folder(layout, inner, top, "a name for files without a label")
                continue
            _add_class(layout, class_name, inner, splits[name])
            if is_train:
                train_classes.add(plain_label(class_name))
    for name, folder in top.folders.items():
        if name not in splits:
            _leave_out_folder(layout, folder, top, "named after no split")


def _add_class(layout: Layout, name: str, folder: Folder, split: str | None) -> None:
    class_name = name_of(Path(name))
    layout.files += [PlacedFile(file, class_name, split) for file in folder.all_files()]


def _passed_through(folder: Folder, classes: Collection[str] = ()) -> Folder:
    """The first folder on the way down that does not contain nothing but one folder of folders.

    Args:
        folder: where to begin.
        classes: names of folders that are classes.
    """
    while not folder.files and len(folder.folders) == 1:
        ((name, inner),) = folder.folders.items()
        is_level = plain_label(name) in classes or not inner.folders or _splits_in(folder)
        if is_level:
            break
        folder = inner
    return folder


def _splits_in(folder: Folder) -> dict[str, str]:
    return splits_of_folders({name: bool(inner.folders) for name, inner in folder.folders.items()})


def _are_classes_of_splits(top: Folder) -> bool:
    """Whether each folder holds nothing but folders that are named after splits: ``<class>/<split>``."""
    if not top.folders:
        return False
    for folder in top.folders.values():
        if folder.files or not folder.folders or set(_splits_in(folder)) != set(folder.folders):
            return False
    return True


def _names_of_classes(folders: Iterable[Folder]) -> set[str]:
    names: set[str] = set()
    for folder in folders:
        names |= set(map(plain_label, _passed_through(folder).folders))
    return names


def _leave_out_folder(layout: Layout, folder: Folder, root: Folder, reason: str) -> None:
    layout.left_out.add(len(list(folder.all_files())), f"in {_shown(folder, root)}", reason)


def _directly_in(folder: Folder, root: Folder) -> str:
    return "at the top" if folder is root else f"directly in {_shown(folder, root)}"


def _shown(folder: Folder, root: Folder) -> str:
    path = folder.path.relative_to(root.path)
    return "/".join(name_of(Path(part)) for part in path.parts)


def _note_words(layout: Layout, what: str, names: Iterable[str]) -> None:
    """Notes names that contain words for splits and are not taken for splits."""
    found = [name_of(Path(name)) for name in names if has_split_word(name)]
    if found:
        layout.other_notes.append(f"named like splits, but {what}: {shown(found)}")


def _note_bare(layout: Layout, folder: Folder, root: Folder) -> None:
    """Notes folders beside the classes in which no file can be read, such as a class of which all files are HEIC."""
    if folder.bare:
        where = "" if folder is root else f" in {_shown(folder, root)}"
        names = shown([name_of(Path(name)) for name in folder.bare])
        layout.other_notes.append(f"no class, since no file in it can be read{where}: {names}")


def _leave_out_others(layout: Layout, root: Folder) -> None:
    """Files of kinds that are not read, by their endings, and links that are not followed."""
    layout.left_out.add(root.others.total(), "of other kinds", _endings(root.others))


def _endings(others: Counter[str]) -> str:
    most = sorted(others.items(), key=lambda item: (-item[1], item[0] or "~"))[:_MOST_ENDINGS]
    named = [f"{count:,} {ending or 'without an ending'}" for ending, count in most]
    if len(others) > len(most):
        named.append("...")
    return ", ".join(named)
