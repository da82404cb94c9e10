"""A language-modeling corpus that needs no network: the language reference that comes with every Python."""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

_DESCRIPTION = """\
The topics of Python's `help()` (the module pydoc_data.topics): nearly 60 chapters and sections of the Python Language
Reference as plain text, more than a third of a million characters of edited English about one subject, with grammar
rules and code. A topic is in one split as a whole. The reference quotes itself, so topics that mostly repeat longer
ones are left out: otherwise a third of the test text would also be in the training text. The text differs between
Python versions: the metadata contains the version and the SHA-256 of what was read.
"""
_CITATION = """\
@manual{python_reference,
  title = {The Python Language Reference},
  author = {{Python Software Foundation}},
  url = {https://docs.python.org/3/reference/}
}
"""
# Least share of the characters in each split. The splits are filled in this order; the rest is for training.
_SHARES = {"test": 0.1, "validation": 0.1}


class PythonTopics(tfds.core.GeneratorBasedBuilder):
    """``text``: one topic; ``topic``: its name."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {  # noqa: RUF012
        "1.0.0": "First release.",
        "2.0.0": "Without topics that mostly repeat longer ones.",
    }
    pkg_dir_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            citation=_CITATION,
            homepage="https://docs.python.org/3/reference/",
            license="PSF-2.0",
            features=tfds.features.FeaturesDict({"text": tfds.features.Text(), "topic": tfds.features.Text()}),
            metadata=tfds.core.MetadataDict(python=platform.python_version(), sha256=_digest(read_topics())),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:  # noqa: ARG002
        topics = read_topics()
        return {name: self._generate_examples(topics, names) for name, names in split_topics(topics).items()}

    def _generate_examples(self, topics: Mapping[str, str], names: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
        for name in names:
            yield name, {"text": topics[name], "topic": name}


def read_topics() -> dict[str, str]:
    """Name of a topic -> its text."""
    from pydoc_data.topics import topics

    return without_quotations(topics)


def without_quotations(topics: Mapping[str, str]) -> dict[str, str]:
    """Leaves out topics that mostly repeat longer ones.

    A topic is kept if at least half of its characters are in paragraphs that are not in a longer topic.
    """
    known_paragraphs: set[str] = set()
    kept = set()
    longest_first = sorted(topics, key=lambda name: (-len(topics[name]), name))
    for name in longest_first:
        paragraphs = {" ".join(paragraph.split()) for paragraph in topics[name].split("\n\n")}
        num_characters = sum(map(len, paragraphs))
        num_new_characters = sum(map(len, paragraphs - known_paragraphs))
        if 2 * num_new_characters >= num_characters:
            known_paragraphs |= paragraphs
            kept.add(name)
    return {name: text for name, text in topics.items() if name in kept}


def split_topics(topics: Mapping[str, str]) -> dict[str, list[str]]:
    """Split -> names of its topics. Whole topics are assigned in the order of their names' hashes."""
    num_characters = sum(map(len, topics.values()))
    remaining = sorted(topics, key=lambda name: hashlib.sha256(name.encode()).digest())
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for split, share in _SHARES.items():
        while sum(len(topics[name]) for name in splits[split]) < share * num_characters:
            splits[split].append(remaining.pop(0))
    splits["train"] = remaining
    return splits


def _digest(topics: Mapping[str, str]) -> str:
    content = "\0".join(f"{name}\0{topics[name]}" for name in sorted(topics))
    return hashlib.sha256(content.encode()).hexdigest()
