"""The default data set: 1,797 real handwritten digits. They come with scikit-learn, so nothing is downloaded."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

_DESCRIPTION = """\
Handwritten digits of 8x8 pixels, written by 43 people and extracted from forms by NIST's software. The 1,797 images are
those of the original test set, which come with scikit-learn. Sixteen grey levels are spread over 0 to 255. The splits
are fixed.
"""
_CITATION = """\
@misc{alpaydin1998optical,
  author = {Alpaydin, E. and Kaynak, C.},
  title = {Optical Recognition of Handwritten Digits},
  year = {1998},
  howpublished = {UCI Machine Learning Repository},
  doi = {10.24432/C50P49}
}
"""
# Images in each split, taken in this order from one fixed shuffle.
SPLIT_SIZES = {"train": 1437, "validation": 180, "test": 180}
_SHUFFLE_SEED = 1797


class Digits(tfds.core.GeneratorBasedBuilder):
    """``image``: uint8 (8, 8, 1); ``label``: 0 to 9."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    pkg_dir_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            citation=_CITATION,
            homepage="https://archive.ics.uci.edu/dataset/80",
            license="CC BY 4.0",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint8, encoding_format="png"),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:  # noqa: ARG002
        total = sum(SPLIT_SIZES.values())
        order = np.random.Generator(np.random.PCG64(_SHUFFLE_SEED)).permutation(total)
        cuts = np.cumsum(list(SPLIT_SIZES.values()))[:-1]
        parts = zip(SPLIT_SIZES, np.split(order, cuts), strict=True)
        return {split: self._generate_examples(numbers) for split, numbers in parts}

    def _generate_examples(self, numbers: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        # Sixteen grey levels, spread over 0 to 255.
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]  # (1797, 8, 8, 1)
        for number in numbers.tolist():
            yield number, {"image": images[number], "label": int(digits.target[number])}
