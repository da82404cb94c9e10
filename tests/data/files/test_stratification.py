"""``stratified``: each class of the user's files is split by itself."""

import csv
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.cli.conftest import run_here as run_here
from tests.cli.test_datasets import run as run
from tfdl.config import DatasetConfig, TrainConfig
from tfdl.data.files.describing import describe_files
from tfdl.data.files.split_assignment import SplitAssignment
from tfdl.data.files.stratification import ClassNumbers, StratifiedSplits
from tfdl.data.hash_split import SPLITS, content_number, hash_split, split_of_number
from tfdl.data.images import ImageDataset
from tfdl.data.opening import open_images, open_texts
from tfdl.data.texts import TextDataset
from tfdl.errors import UserError

CLASSIFIED = ("text", "label")
Samples = Sequence[tuple[str, int]]
"""Class and number of each sample."""


def stratified(unnamed: Samples, for_training: Samples = ()) -> StratifiedSplits:
    numbers = ClassNumbers()
    for label, number in unnamed:
        numbers.add(label, number, is_for_training=False)
    for label, number in for_training:
        numbers.add(label, number, is_for_training=True)
    return StratifiedSplits(numbers)


def splits_of(samples: Samples) -> dict[int, str]:
    splits = stratified(samples)
    return {number: splits.of_number(number) for _, number in samples}


def test_the_first_tenth_is_for_validation_and_the_second_one_for_the_test() -> None:
    splits = splits_of([("a", number) for number in range(30)])
    assert [number for number, split in splits.items() if split == "validation"] == [0, 1, 2]
    assert [number for number, split in splits.items() if split == "test"] == [3, 4, 5]


def test_a_rare_class_beside_a_large_one() -> None:
    """By their buckets alone (500, 501 and 999 of 1,000), the samples of the rare class are all for training."""
    rare = (1500, 501, 7999)
    assert {split_of_number(number) for number in rare} == {"train"}
    splits = splits_of([*(("large", number) for number in range(200)), *(("rare", number) for number in rare)])
    assert [splits[number] for number in rare] == ["validation", "test", "train"]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, (1, 0, 0)),
        (2, (1, 1, 0)),
        (3, (1, 1, 1)),
        (14, (12, 1, 1)),
        (15, (11, 2, 2)),
        (24, (20, 2, 2)),
        (100, (80, 10, 10)),
        (104, (84, 10, 10)),
        (105, (83, 11, 11)),
    ],
)
def test_the_sizes_of_a_class(count: int, sizes: tuple[int, int, int]) -> None:
    found = Counter(splits_of([("a", number) for number in range(count)]).values())
    assert tuple(found[split] for split in SPLITS) == sizes


def test_a_class_of_evenly_spread_numbers_is_split_as_without_the_option() -> None:
    samples = [("a", 7000 + number) for number in range(1000)]
    assert splits_of(samples) == {number: split_of_number(number) for _, number in samples}


def test_files_for_training_lose_validation_samples_only() -> None:
    named = SplitAssignment({"train", "test"})
    assignment = named.by(stratified([], [("a", number) for number in range(20)]).of_number)
    assert [assignment.of_number("train", number) for number in range(20)] == ["validation"] * 2 + ["train"] * 18
    assert assignment.of_number("test", 0) == "test"


def test_a_sample_of_files_for_training_counts_for_these() -> None:
    """The equal ones in other files share its split, and do not take the place of others in the test."""
    splits = stratified([("a", number) for number in range(10)], [("a", number) for number in range(5)])
    assert [splits.of_number(number) for number in range(10)] == [
        *["validation", "train", "train", "train", "train"],
        *["validation", "test", "train", "train", "train"],
    ]


def test_a_sample_of_several_classes_counts_for_the_first_one() -> None:
    shared = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2), ("b", 3), ("b", 4), ("b", 5)]
    for samples in (shared, shared[::-1]):
        assert [stratified(samples).of_number(number) for number in range(6)] == ["validation", "test", "train"] * 2


numbers = st.integers(0, 2**64 - 1)
# Class -> its numbers, none of which another class has.
classes = st.dictionaries(numbers, st.sampled_from("abcd"), min_size=1, max_size=120).map(
    lambda found: {label: {number for number in found if found[number] == label} for label in found.values()}
)


@given(classes, st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_classes(found: dict[str, set[int]], order: random.Random, copies: int) -> None:
    """Every class has its share, and neither the order of samples nor how often each occurs has an influence."""
    samples = [(label, number) for label, members in sorted(found.items()) for number in sorted(members)]
    splits = splits_of(samples)
    for members in found.values():
        counts = Counter(splits[number] for number in members)
        expected = max(1, round((len(members) + 0.001) / 10))
        assert counts["validation"] == (expected if len(members) >= 2 else 0)
        assert counts["test"] == (expected if len(members) >= 3 else 0)
        held_out = {"validation": 0, "test": 1, "train": 2}
        in_order = sorted(members, key=lambda number: (number % 1000, number))
        ranks = [held_out[splits[number]] for number in in_order]
        assert ranks == sorted(ranks)
    repeated = samples * copies
    order.shuffle(repeated)
    assert splits_of(repeated) == splits


@given(st.sets(numbers, min_size=2, max_size=80), st.sets(numbers, min_size=1, max_size=20))
def test_an_added_sample_moves_at_most_three_others_of_its_class(members: set[int], others: set[int]) -> None:
    before = sorted(members, key=hash)[1:]
    rest = [("b", number) for number in others - members]
    old = splits_of([*(("a", number) for number in before), *rest])
    new = splits_of([*(("a", number) for number in members), *rest])
    moved = [number for number in old if old[number] != new[number]]
    assert len(moved) <= 3
    assert set(moved) <= set(before)


# Texts


def write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def opened(path: Path, **fields: Any) -> TextDataset:
    return open_texts(DatasetConfig(str(path), **fields), CLASSIFIED)


def where(dataset: TextDataset) -> dict[tuple[str, str], set[str]]:
    """Row -> the splits that have it."""
    found: dict[tuple[str, str], set[str]] = {}
    for split, rows in dataset.splits.items():
        for row in rows:
            found.setdefault((str(row["text"]), dataset.class_names[int(row["label"])]), set()).add(split)
    return found


# Three rows that are all for training by their hashes.
RARE = [row for row in ((f"rare {number}", "rare") for number in range(50)) if hash_split("\0".join(row)) == "train"][
    :3
]
COMMON = [(f"text {number}", "common") for number in range(200)]


def test_a_rare_class_of_texts(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [*COMMON, *RARE])
    without = opened(path)
    assert {split for row, splits in where(without).items() if row in RARE for split in splits} == {"train"}
    hint = " (--stratified gives each class a share of every split)"
    assert [note for note in without.notes if "without" in note] == [
        f"without validation samples: rare{hint}",
        f"without test samples: rare{hint}",
    ]
    dataset = opened(path, stratified=True)
    assert sorted(split for row in RARE for split in where(dataset)[row]) == ["test", "train", "validation"]
    assert not [note for note in dataset.notes if "without" in note]
    assert {split: part.num_examples for split, part in dataset.splits.items()} == {
        "train": 161,
        "validation": 21,
        "test": 21,
    }


def test_one_sample_is_too_few_for_the_option(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [*COMMON, RARE[0]])
    for is_stratified in (False, True):
        notes = opened(path, stratified=is_stratified).notes
        assert "without test samples: rare" in notes


def test_a_small_set_without_validation_samples(tmp_path: Path) -> None:
    """The error names the option, by which the set can be trained with."""
    all_rows = [(f"text {number}", "ab"[number % 2]) for number in range(40)]
    by_hash = [row for row in all_rows if {hash_split("\0".join(row)), hash_split(row[0])} == {"train"}]
    path = write_csv(tmp_path / "rows.csv", by_hash[:12])
    with pytest.raises(UserError, match=r"none of them for validation; expected more, or a file .*, or --stratified$"):
        opened(path)
    with pytest.raises(UserError, match=r"has 12 texts, none of them for validation; .* called validation$"):
        open_texts(DatasetConfig(str(path)), ("text",))
    assert {split: part.num_examples for split, part in opened(path, stratified=True).splits.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }


def test_files_that_are_named_after_splits_keep_their_meaning(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [*COMMON[:100], *RARE[:2]])
    write_csv(tmp_path / "test.csv", COMMON[100:110])
    notes = opened(tmp_path).notes
    # A file decides which classes the test has; the option does not change it.
    assert "without test samples: rare" in notes
    dataset = opened(tmp_path, stratified=True)
    found = where(dataset)
    assert {row for row, splits in found.items() if "test" in splits} == set(COMMON[100:110])
    counts = Counter((row[1], *splits) for row, splits in found.items() if "test" not in splits)
    assert counts == {
        ("common", "train"): 90,
        ("common", "validation"): 10,
        ("rare", "train"): 1,
        ("rare", "validation"): 1,
    }
    write_csv(tmp_path / "dev.csv", COMMON[110:120])
    dataset = opened(tmp_path, stratified=True)
    assert where(dataset) == where(opened(tmp_path))


rows_of_texts = st.lists(
    st.tuples(st.sampled_from([f"w{number}" for number in range(25)]), st.sampled_from(["a", "b", "c"])),
    min_size=30,
    max_size=80,
)


@given(rows_of_texts, st.randoms(use_true_random=False), st.integers(0, 80))
@settings(max_examples=25)
def test_any_rows_in_any_files(rows: list[tuple[str, str]], order: random.Random, cut: int) -> None:
    rows += [(f"always {number}", label) for number in range(3) for label in "abc"]
    with tempfile.TemporaryDirectory() as folder:
        one = write_csv(Path(folder, "one.csv"), rows)
        found = where(opened(one, stratified=True))
        assert all(len(splits) == 1 for splits in found.values())  # equal rows share a split
        for label in "abc":
            assert {split for row, splits in found.items() for split in splits if row[1] == label} == set(SPLITS)
        order.shuffle(rows)
        several = Path(folder, "several")
        several.mkdir()
        write_csv(several / "x.csv", rows[cut:])
        write_csv(several / "y.csv", rows[:cut])
        assert where(opened(several, stratified=True)) == found


def test_spellings_of_a_class_are_split_together(tmp_path: Path) -> None:
    rows = [(f"text {number}", ("7", "007")[number % 2]) for number in range(4)]
    path = write_csv(tmp_path / "rows.csv", [*rows, *((f"text {number}", "8") for number in range(30))])
    counts = {
        split: Counter(row["label"] for row in part) for split, part in opened(path, stratified=True).splits.items()
    }
    assert [counts[split][0] for split in SPLITS] == [2, 1, 1]
    # As two classes of two samples each, neither has one for the test.
    apart = opened(path, stratified=True, exact_labels=True)
    assert apart.class_names == ("007", "7", "8")
    assert "without test samples: 007, 7" in apart.notes


# Images


def write_images(folder: Path, counts: dict[str, int]) -> Path:
    number = 0
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for _ in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
            number += 1
    return folder


def counts_by_class(dataset: ImageDataset) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {name: {} for name in dataset.class_names}
    for split, source in dataset.sources.items():
        labels = source.read(np.arange(source.num_examples))["label"].numpy()
        for number, name in enumerate(dataset.class_names):
            counts[name][split] = int((labels == number).sum())
    return counts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 images of cats, and three of dogs that are all for training by their hashes."""
    folder = write_images(tmp_path / "pets", {"cat": 40, "dog": 30})
    dogs = sorted((folder / "dog").iterdir())
    kept = [path for path in dogs if hash_split(path.read_bytes()) == "train"][:3]
    for path in set(dogs) - set(kept):
        path.unlink()
    return folder


def test_a_rare_class_of_images(folder: Path, tmp_path: Path) -> None:
    config = DatasetConfig(str(folder), str(tmp_path / "prepared"))
    without = open_images(config)
    assert counts_by_class(without)["dog"] == {"train": 3, "validation": 0, "test": 0}
    assert "without test samples: dog (--stratified gives each class a share of every split)" in without.notes
    dataset = open_images(DatasetConfig(str(folder), str(tmp_path / "prepared"), stratified=True))
    assert counts_by_class(dataset) == {
        "cat": {"train": 32, "validation": 4, "test": 4},
        "dog": {"train": 1, "validation": 1, "test": 1},
    }
    assert not [note for note in dataset.notes if "without" in note]


def test_a_small_set_of_images_without_validation_samples(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "cat").iterdir():
        if hash_split(path.read_bytes()) != "train":
            path.unlink()
    with pytest.raises(UserError, match=r"of which none is for validation; expected .* called validation, or --strat"):
        open_images(DatasetConfig(str(folder), str(tmp_path / "prepared")))
    dataset = open_images(DatasetConfig(str(folder), str(tmp_path / "prepared"), stratified=True))
    assert counts_by_class(dataset)["dog"] == {"train": 1, "validation": 1, "test": 1}


def test_equal_images_share_a_split_also_in_two_classes(folder: Path, tmp_path: Path) -> None:
    for path in sorted((folder / "dog").iterdir()):
        (folder / "cat" / f"copy of {path.name}").write_bytes(path.read_bytes())
        (folder / "dog" / f"copy of {path.name}").write_bytes(path.read_bytes())
    dataset = open_images(DatasetConfig(str(folder), str(tmp_path / "prepared"), stratified=True))
    split_of: dict[bytes, set[str]] = {}
    for split, source in dataset.sources.items():
        for image in source.read(np.arange(source.num_examples))["image"].numpy():
            split_of.setdefault(image.tobytes(), set()).add(split)
    assert len(split_of) == 43
    assert all(len(splits) == 1 for splits in split_of.values())


def test_the_description_has_the_numbers_of_training(folder: Path, run: Any) -> None:
    code, out, err = run("show", folder, "--stratified", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["classes"] == {
        "cat": {"train": 32, "validation": 4, "test": 4},
        "dog": {"train": 1, "validation": 1, "test": 1},
    }
    assert json.loads(run("show", folder, "--json")[1])["classes"]["dog"]["test"] == 0


def test_a_sample_of_texts_is_described_alike(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", [*COMMON, *RARE])
    description = describe_files(DatasetConfig(str(path), stratified=True)).description
    assert description.classes["rare"] == {"train": 1, "validation": 1, "test": 1}


# Where it has no meaning


@pytest.mark.parametrize("field", ["stratified", "exact_labels"])
def test_other_data_sets(field: str) -> None:
    message = rf"dataset\.{field} has no meaning for '\w+', which is not a path of your own files; leave it out"
    with pytest.raises(UserError, match=message):
        open_images(DatasetConfig("digits", **{field: True}))
    with pytest.raises(UserError, match=message):
        open_texts(DatasetConfig("docstrings", **{field: True}), CLASSIFIED)


def test_splits_of_python_code() -> None:
    images = np.zeros((20, 8, 8), np.uint8)
    with pytest.raises(UserError, match="stratified has no meaning for 'python', which is not a path of your own"):
        open_images(DatasetConfig("python", stratified=True), {"train": (images, np.arange(20) % 2)})


@pytest.mark.parametrize("field", ["stratified", "exact_labels"])
@pytest.mark.parametrize("task", ["language-modeling", "translation"])
def test_tasks_without_classes(task: str, field: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"dataset\.{field}=True, expected nothing: it has no meaning for {task}; leave it out, or give",
    ):
        TrainConfig(task=task, dataset={"name": "./rows.csv", field: True})


def test_rows_without_classes(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", COMMON)
    with pytest.raises(
        UserError, match=r"splits each class of '.*rows\.csv' by itself, but a sample of text has no class"
    ):
        open_texts(DatasetConfig(str(path), stratified=True), ("text",))


def test_the_number_decides_the_split_as_the_content_does() -> None:
    contents = [f"sample {number}" for number in range(500)]
    assert [split_of_number(content_number(content)) for content in contents] == [*map(hash_split, contents)]
    # SHA-256 of "abc" begins with ba7816bf 8f01cfea.
    assert content_number("abc") == content_number(b"abc") == 0xBA7816BF8F01CFEA
