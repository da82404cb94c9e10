"""The texts that need no network: what they are, and that each sample is in one split."""

import datetime
import sys
from collections import Counter
from pydoc_data.topics import topics

import numpy as np
import pytest

from tfdl.config import DATASETS
from tfdl.data.embedded.dates import FORMS
from tfdl.data.embedded.docstrings import PACKAGES, read_docstrings
from tfdl.data.embedded.python_topics import read_topics, split_topics, without_quotations
from tfdl.data.hash_split import hash_split
from tfdl.data.tfds.catalog import open_builder

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def rows(data_dir):
    """``rows(name)``: split -> its samples as dictionaries of text and numbers."""

    def read(name):
        import tensorflow_datasets as tfds

        builder = open_builder(name, str(data_dir))
        return {
            split: [
                {key: value.decode() if isinstance(value, bytes) else value for key, value in row.items()}
                for row in tfds.as_numpy(builder.as_dataset(split))
            ]
            for split in SPLITS
        }

    return {name: read(name) for name in DATASETS if name != "digits"}


def test_every_topic_is_in_one_split(rows):
    found = {row["topic"]: row["text"] for split in SPLITS for row in rows["python_topics"][split]}
    assert found == read_topics()
    assert sum(len(rows["python_topics"][split]) for split in SPLITS) == len(found)
    assert found.items() < topics.items()


def test_splits_have_hardly_any_passages_in_common(rows):
    """The reference quotes itself: of all its topics shared out alike, more than a third would."""

    def passages(texts):
        joined = [" ".join(text.split()) for text in texts]
        return {text[place : place + 120] for text in joined for place in range(len(text) - 119)}

    def quoted(splits):
        train = passages(splits["train"])
        return [len(found & train) / len(found) for found in (passages(splits["validation"]), passages(splits["test"]))]

    assert max(quoted({split: [row["text"] for row in rows["python_topics"][split]] for split in SPLITS})) < 0.01
    everything = {split: [topics[name] for name in names] for split, names in split_topics(topics).items()}
    assert min(quoted(everything)) > 0.2


def test_a_topic_that_repeats_a_longer_one_is_left_out():
    topics = {
        "short": "Two,\n   longer.",
        "long": "One.\n\nTwo, longer.\n\nThree.",
        "other": "Four.\n\nOne.",
    }
    assert list(without_quotations(topics)) == ["long", "other"]


def test_topics_are_shared_out_by_characters(rows):
    sizes = {split: sum(len(row["text"]) for row in rows["python_topics"][split]) for split in SPLITS}
    total = sum(sizes.values())
    assert sizes["test"] >= 0.1 * total
    assert sizes["validation"] >= 0.1 * total
    assert sizes["train"] >= 0.5 * total


def test_topics_stay_in_their_split_when_one_is_added():
    small = {f"topic {place}": "x" * 100 for place in range(100)}
    before = split_topics(small)
    assert {name: len(names) for name, names in before.items()} == {"train": 80, "validation": 10, "test": 10}
    assert split_topics(dict(reversed(small.items()))) == before


@pytest.mark.parametrize("name", ["python_topics", "docstrings"])
def test_what_was_read_is_recorded(name, data_dir):
    metadata = open_builder(name, str(data_dir)).info.metadata
    assert metadata["python"] == sys.version.split()[0]
    assert len(metadata["sha256"]) == 64


def test_docstrings_are_of_their_package(rows):
    import asyncio.queues
    import email.message

    labels = {row["text"]: PACKAGES[row["label"]] for split in SPLITS for row in rows["docstrings"][split]}
    assert labels == read_docstrings()
    assert labels[asyncio.queues.Queue.put.__doc__.replace("\n        ", "\n").strip()] == "asyncio"
    assert labels[_clean(email.message.Message.get_payload)] == "email"
    assert set(labels.values()) == set(PACKAGES)
    assert len(labels) > 1500
    assert min(Counter(labels.values()).values()) >= 20


def _clean(function):
    import inspect

    return inspect.getdoc(function)


def test_docstrings_are_read_and_nothing_is_imported(tmp_path):
    package = tmp_path / "email"
    package.mkdir()
    (package / "a.py").write_text(
        '"""Short."""\nraise SystemExit\ndef f():\n    """A text that is long enough to count."""\n'
    )
    (tmp_path / "http").mkdir()
    (tmp_path / "http" / "b.py").write_text('"""A text that stands in two packages, so in none."""\n')
    (package / "c.py").write_text('"""A text that stands in two packages, so in none."""\n')
    assert read_docstrings(tmp_path) == {"A text that is long enough to count.": "email"}


def test_dates_are_right(rows):
    """Each target is read back, written again in every form, and found."""
    for split, size in {"train": 20_000, "validation": 1_000, "test": 1_000}.items():
        found = rows["dates"][split]
        assert len(found) == size
        for row in found[:500]:
            date = datetime.date.fromisoformat(row["target"])
            assert row["source"] in [form(date) for form in FORMS]
    days = [row["target"] for split in SPLITS for row in rows["dates"][split]]
    assert len(set(days)) == len(days)


def test_a_date_in_every_form():
    assert [form(datetime.date(1987, 3, 23)) for form in FORMS] == [
        "23 March 1987",
        "March 23, 1987",
        "23 Mar 1987",
        "Mar 23 1987",
        "23.3.1987",
        "Monday, 23 March 1987",
        "Monday, March 23rd, 1987",
        "the 23rd of March 1987",
        "the twenty-third of March, 1987",
        "1987, March the twenty-third",
    ]
    assert [FORMS[7](datetime.date(2000, 1, day)).split()[1] for day in (1, 2, 3, 11, 12, 13, 22, 31)] == [
        *("1st", "2nd", "3rd", "11th", "12th", "13th", "22nd", "31st")
    ]


def test_no_form_is_ambiguous():
    """Two days never read the same."""
    days = [datetime.date.fromordinal(day) for day in range(693_596, 693_596 + 800)]
    for form in FORMS:
        assert len({form(day) for day in days}) == len(days)


def test_the_split_of_a_sample_is_its_own():
    names = [f"sample {place}" for place in range(10_000)]
    counts = Counter(map(hash_split, names))
    np.testing.assert_allclose([counts["train"], counts["validation"], counts["test"]], [8000, 1000, 1000], atol=150)
    assert hash_split("ä") == hash_split("ä".encode())
