"""Opens a run's data set, wherever it comes from: the user's own files, or TFDS."""

from tfdl.config import DatasetConfig
from tfdl.data.files.images import open_image_folder
from tfdl.data.files.paths import is_local
from tfdl.data.files.texts import open_local_texts
from tfdl.data.images import ImageDataset
from tfdl.data.texts import TextDataset
from tfdl.data.tfds.images import open_tfds_images
from tfdl.data.tfds.texts import open_tfds_texts


def open_images(config: DatasetConfig) -> ImageDataset:
    """Opens the three splits of the user's images, or of a TFDS set.

    Raises:
        UserError: unknown set or split, not an image classification set, images of many sizes, or unlabelled samples.
    """
    return open_image_folder(config) if is_local(config.name) else open_tfds_images(config)


def open_texts(config: DatasetConfig, roles: tuple[str, ...]) -> TextDataset:
    """Opens the three splits of the user's texts, or of a TFDS set.

    Args:
        config: which data set, and which of its columns (features) serve as which role.
        roles: ``("text",)``, ``("text", "label")`` or ``("source", "target")``.

    Raises:
        UserError: an unknown set or split, an empty one, or no column, or several, for a role.
    """
    return open_local_texts(config, roles) if is_local(config.name) else open_tfds_texts(config, roles)
