"""A text classification set that needs no network: which part of the standard library is this docstring from?"""

import ast
import functools
import hashlib
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from tfdl.data.hash_split import hash_split

_DESCRIPTION = """\
Docstrings of modules, classes and functions of ten packages of Python's standard library, read from their source code;
the label is the package. About two thousand short texts in technical English, in classes of uneven size. Some contain
the name of their package and are easy. Docstrings of fewer than 30 characters, and texts that occur in two packages,
are left out. The texts differ between Python versions: the metadata contains the version and the SHA-256 of what was
read.
"""
_CITATION = """\
@manual{python_library,
  title = {The Python Standard Library},
  author = {{Python Software Foundation}},
  url = {https://docs.python.org/3/library/}
}
"""
# Large packages that Python 3.11 to 3.13 have, even if a distributor packages parts of the library separately.
PACKAGES = (
    "asyncio",
    "collections",
    "concurrent",
    "email",
    "http",
    "importlib",
    "logging",
    "multiprocessing",
    "unittest",
    "xml",
)
_FEWEST_CHARACTERS = 30


class Docstrings(tfds.core.GeneratorBasedBuilder):
    """``text``: one docstring; ``label``: its package."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    pkg_dir_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            citation=_CITATION,
            homepage="https://docs.python.org/3/library/",
            license="PSF-2.0",
            features=tfds.features.FeaturesDict(
                {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=PACKAGES)}
            ),
            supervised_keys=("text", "label"),
            metadata=tfds.core.MetadataDict(python=platform.python_version(), sha256=_digest(read_docstrings())),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:  # noqa: ARG002
        labels = read_docstrings()
        return {split: self._generate_examples(labels, split) for split in ("train", "validation", "test")}

    def _generate_examples(self, labels: dict[str, str], split: str) -> Iterator[tuple[str, dict[str, str]]]:
        for text, label in labels.items():
            if hash_split(text) == split:
                yield hashlib.sha256(text.encode()).hexdigest(), {"text": text, "label": label}


@functools.cache  # reading takes a second or more, and a builder is made for every question about the data set
def read_docstrings(library: Path | None = None) -> dict[str, str]:
    """Docstring -> its package, from the source files below ``library`` (this Python's own by default)."""
    library = library or Path(sysconfig.get_path("stdlib"))
    packages: dict[str, str] = {}
    ambiguous = set()
    for package in PACKAGES:
        for path in sorted((library / package).rglob("*.py")):
            for text in _docstrings_of(path):
                if packages.setdefault(text, package) != package:
                    ambiguous.add(text)
    return {text: package for text, package in packages.items() if text not in ambiguous}


def _docstrings_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) >= _FEWEST_CHARACTERS:
                yield text


def _digest(labels: dict[str, str]) -> str:
    content = "\0".join(f"{label}\0{text}" for text, label in sorted(labels.items()))
    return hashlib.sha256(content.encode()).hexdigest()
