"""The classes and splits of the user's images, and why images cannot be trained with. No TensorFlow is imported.

Training and ``tfdl datasets show`` use the same functions, so they agree.
"""

from collections.abc import Sequence
from pathlib import Path

from tfdl.data.files.bad_rows import BadRows, printable
from tfdl.data.files.layout import Layout, PlacedFile
from tfdl.data.files.split_assignment import SplitAssignment
from tfdl.data.files.stratification import ClassNumbers, StratifiedSplits
from tfdl.data.hash_split import SPLITS
from tfdl.data.labels import Classes
from tfdl.errors import UserError

MOST_PIXELS = 512 * 512
"""Larger images are not trained with at their own size unless the user asks for it: the memory and the time that a
model needs grow with the number of pixels, and a photo of a telephone has fifty times as many."""


class NoClassFoldersError(UserError):
    """A path is no folder with at least two folders of images."""


def check_class_folders(name: str, layout: Layout, endings: Sequence[str]) -> None:
    """Checks that there are images of two classes.

    Args:
        name: the data set, for the error message.
        layout: its images.
        endings: of images.

    Raises:
        NoClassFoldersError: there are not.
    """
    num_classes = len({file.class_name for file in layout.files})
    if num_classes >= 2:
        return
    noun = "folder" if num_classes == 1 else "folders"
    left_out = "".join(f"; {note}" for note in layout.notes)
    raise NoClassFoldersError(
        f"dataset {name!r} has {num_classes} {noun} of images, expected a folder for each of at least two classes,"
        f" such as {printable(Path(name, 'cat'))} and {printable(Path(name, 'dog'))}, with images in it"
        f" ({', '.join(endings)}){left_out}"
    )


def class_of(file: PlacedFile) -> str:
    """The label of an image: the name of its class's folder."""
    return str(file.class_name)


def image_assignment(
    named: Sequence[str | None], labels: Sequence[str], numbers: Sequence[int], classes: Classes, stratified: bool
) -> SplitAssignment:
    """What decides the split of each image.

    Args:
        named: for each image the split that its folder or file is named after, if any.
        labels: of the images, as they are written.
        numbers: the ``content_number`` of each.
        classes: of all images.
        stratified: whether each class is split by itself.
    """
    assignment = SplitAssignment(set(named))
    if not stratified:
        return assignment
    names = classes.name_of_label
    to_split = ClassNumbers()
    for split, label, number in zip(named, labels, numbers, strict=True):
        if assignment.of_file(split) is None:
            to_split.add(names[label], number, is_for_training=split == "train")
    return assignment.by(StratifiedSplits(to_split).of_number)


def check_size(name: str, height: int, width: int) -> None:
    """Checks that images of which the user chose no size are not so large that this was an oversight.

    Args:
        name: the data set, for the error message.
        height: of all its images.
        width: of all its images.

    Raises:
        UserError: they have more than ``MOST_PIXELS``.
    """
    if height * width > MOST_PIXELS:
        raise UserError(
            f"images of {name!r} are {height}x{width}, and memory and time grow with their pixels: give a smaller"
            f" --image-size, such as --image-size 224; --image-size {height}x{width} keeps their size"
        )


def places_by_split(
    named: Sequence[str | None], numbers: Sequence[int], assignment: SplitAssignment
) -> dict[str, list[int]]:
    """The places of the images of each split. Without images for testing, the validation split serves as test split.

    Args:
        named: for each image the split that its folder or file is named after, if any.
        numbers: the ``content_number`` of each.
        assignment: decides the split of each.
    """
    places: dict[str, list[int]] = {split: [] for split in SPLITS}
    for place, (split, number) in enumerate(zip(named, numbers, strict=True)):
        places[assignment.of_number(split, number)].append(place)
    if not places["test"]:
        places["test"] = places["validation"]
    return places


def check_images(
    name: str, classes: Classes, places: dict[str, list[int]], bad: BadRows, *, is_stratified: bool = False
) -> None:
    """Checks that the images that can be read are enough to train with.

    Args:
        name: the data set, for the error message.
        classes: of the images.
        places: of the images of each split.
        bad: the images that cannot be read.
        is_stratified: whether each class was split by itself.

    Raises:
        UserError: no images, images of one class, or a split without images.
    """
    num_images = len(set().union(*places.values()))
    if not num_images:
        raise UserError(f"dataset {name!r} has no images that can be read; the first: {bad.first[0]}")
    left_out = f"; {bad.report}" if bad.count else ""
    if len(classes.present_names) < 2:
        raise UserError(
            f"dataset {name!r} has images that can be read in the class {classes.present_names[0]!r} alone,"
            f" expected at least two classes{left_out}"
        )
    for split in SPLITS:
        if not places[split]:
            noun = "image" if num_images == 1 else "images"
            option = "" if is_stratified else ", or --stratified"
            raise UserError(
                f"dataset {name!r} has {num_images} {noun}, of which none is for {split}; expected more images,"
                f" or a folder that is called {split}{option}{left_out}"
            )
