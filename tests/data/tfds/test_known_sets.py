"""The well-known sets are what the list says of them; images side by side."""

import numpy as np
import pytest
from PIL import Image

from tfdl.config import DATASETS
from tfdl.data.image_grid import image_grid
from tfdl.data.tfds.catalog import find_builder
from tfdl.data.tfds.description import describe_dataset
from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets


@pytest.mark.parametrize("known", [*declared_sets(), *TFDS_SETS], ids=lambda known: known.name)
def test_the_list_is_true(known, tmp_path):
    import tensorflow_datasets as tfds

    description, builder = describe_dataset(known.name, str(tmp_path))
    assert description.name.startswith(f"{known.name}/")
    assert known.task in description.tasks
    if not known.by_hand:  # what is fetched by hand is on record in part
        assert known.download_bytes == description.download_bytes
    assert known.beam == isinstance(builder, tfds.core.BeamBasedBuilder)
    assert not known.by_hand or description.files_by_hand
    assert description.about
    assert not list(tmp_path.iterdir())


def test_own_sets_are_all_listed():
    assert {known.name for known in declared_sets()} == set(DATASETS)


def test_licence_and_homepage_of_own_sets(tmp_path):
    found = {name: describe_dataset(name, str(tmp_path))[0] for name in DATASETS}
    assert {name: one.license for name, one in found.items()} == {
        "digits": "CC BY 4.0",
        "python_topics": "PSF-2.0",
        "docstrings": "PSF-2.0",
        "dates": "CC0-1.0",
    }
    assert found["dates"].homepage is None  # and no page of TFDS's catalogue
    assert len(found["docstrings"].metadata["sha256"]) == 64


def test_features_and_configurations(tmp_path):
    description, builder = describe_dataset("wmt14_translate", str(tmp_path))
    assert "de-en" in description.configurations
    assert description.features == {"cs": "Text(shape=(), dtype=string)", "en": "Text(shape=(), dtype=string)"}
    assert description.download_bytes is None  # one record for all configurations
    assert find_builder("wmt14_translate", tmp_path).info.full_name == builder.info.full_name == description.name


def test_images_of_many_sizes():
    images = [np.full((300, 100, 3), 200, np.uint8), np.zeros((8, 8, 1), np.uint8), np.zeros((20, 40, 4), np.uint8)]
    picture = image_grid(images, ["tall", "a name that is far too long to stand below a picture", ""])
    pixels = np.asarray(picture)
    assert picture.mode == "RGB"
    assert pixels[12 + 112, 12 + 112].tolist() == [200, 200, 200]  # in the middle of its cell of 224 pixels
    assert pixels[12 + 112, 12].tolist() == [255, 255, 255]  # it is narrow
    assert pixels[12 + 112, 12 + 224 + 12 + 112].tolist() == [0, 0, 0]
    captions = pixels[12 + 224 : 12 + 224 + 22]
    assert (captions[:, 12 + 224 : 12 + 224 + 12] == 255).all(), "a caption runs into the next"
    assert captions.min() < 128


def test_small_images_are_enlarged_in_whole_steps():
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8)
    pixels = np.asarray(image_grid([image], ["noise"]).convert("L"))
    tile = pixels[12 : 12 + 112, 12 : 12 + 112]  # four times
    np.testing.assert_array_equal(tile, np.asarray(Image.fromarray(image[..., 0]).resize((112, 112), 0)))
