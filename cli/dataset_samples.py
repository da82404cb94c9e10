"""Samples of data sets for ``tfdl datasets show``: reading them, and drawing their images."""

from typing import Any

from tfdl.cli.failures import is_printing_rank
from tfdl.errors import UserError


def prepared_samples(
    name: str, data_dir: str | None, builder: Any, split: str, count: int
) -> tuple[Any, list[dict[str, Any]]]:
    """Returns the description and the first samples of a data set. One of tfdl's own is prepared first.

    Args:
        name: the data set.
        data_dir: the folder of prepared data sets.
        builder: of the data set.
        split: of the samples.
        count: most samples.
    """
    from tfdl.config import DATASETS
    from tfdl.data.tfds.catalog import open_builder
    from tfdl.data.tfds.description import describe_dataset
    from tfdl.data.tfds.samples import read_samples

    if not builder.is_prepared():
        if builder.name not in DATASETS:
            raise UserError(
                f"data set {name!r} is not prepared, so there are no samples to show; tfdl datasets prepare {name}"
            )
        from tfdl.cli.quiet import quick_start

        quick_start()
        open_builder(name, data_dir)
    description, builder = describe_dataset(name, data_dir)
    return description, read_samples(builder, split, count)


def draw(rows: list[dict[str, Any]], name: str, label_key: str, output: str) -> None:
    """Draws the images of the samples, with their class names as captions.

    Args:
        rows: the samples.
        name: of the data set.
        label_key: of the class names.
        output: the file.
    """
    import numpy as np

    from tfdl.data.image_grid import image_grid

    first_row = rows[0] if rows else {}
    image_keys = [key for key, value in first_row.items() if isinstance(value, np.ndarray)]
    if not image_keys:
        raise UserError(f"data set {name!r} has no images to draw; leave out --output")
    images = [row[image_keys[0]] for row in rows]
    captions = [str(row.get(label_key, "")) for row in rows]
    picture = image_grid(images, captions)
    if not is_printing_rank():
        return
    try:
        picture.save(output, format="PNG")
    except OSError as error:
        raise UserError(f"--output {output!r} cannot be written ({error.strerror}); choose another file") from error


def for_json(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a sample for JSON: of an image only its shape."""
    import numpy as np

    values = {}
    for key, value in row.items():
        values[key] = {"shape": list(value.shape)} if isinstance(value, np.ndarray) else value
    return values
