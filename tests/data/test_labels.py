"""Which labels are one class, and the order of classes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfdl.data.labels import classes_of, shown, unequal_classes_notes


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "0", "11"], ("0", "9", "10", "11")),
        (["10.0", "9.0", "-1.5", "1e1"], ("-1.5", "9.0", "1e1")),
        (["b", "a", "10", "9"], ("10", "9", "a", "b")),
        (["\u00b9", "\u00b2"], ("\u00b2", "\u00b9")),  # superscripts are digits to str.isdigit, but not numbers
        (["\u0661", "1"], ("1", "\u0661")),  # nor is an Arabic-Indic digit taken for the class of another
        (["1_0", "9"], ("1_0", "9")),
        (["nan", "inf", "1"], ("1", "inf", "nan")),
        (["bad", "bad ", "good\t"], ("bad", "good")),
        (["0", "0.0", "+0", "1"], ("0", "1")),
        (["cafe\u0301", "caf\u00e9"], ("caf\u00e9",)),
        (["Cat", "cat"], ("Cat", "cat")),
        (["\udcff", "a"], ("a", "\udcff")),
        ([], ()),
    ],
)
def test_order_and_equality(labels: list[str], names: tuple[str, ...]) -> None:
    classes = classes_of(labels)
    assert classes.names == names
    assert set(classes.numbers) == set(labels)


def test_spellings_of_one_class_are_reported() -> None:
    classes = classes_of(["bad", "bad ", "good"])
    assert classes.numbers == {"bad": 0, "bad ": 0, "good": 1}
    assert classes.notes == ("taken for one class: 'bad', 'bad ' (--exact-labels keeps them apart)",)
    assert classes_of(["bad", "good"]).notes == ()


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["007", "7", "10", "1.10", "1.1"], ("1.1", "1.10", "007", "7", "10")),
        (["bad", "bad ", "a"], ("a", "bad", "bad ")),
        (["cafe\u0301", "caf\u00e9"], ("cafe\u0301", "caf\u00e9")),
    ],
)
def test_exact_labels_are_compared_as_written(labels: list[str], names: tuple[str, ...]) -> None:
    classes = classes_of(labels, exact=True)
    assert classes.names == names
    assert classes.numbers == {name: number for number, name in enumerate(names)}
    assert classes.notes == ()
    assert len(classes_of(labels).names) < len(names)  # the control
    # A label that the run does not have, as it is written, is another class.
    assert classes_of(["7", "007"], ("7",), exact=True).numbers == {"7": 0, "007": 1}
    assert classes_of(["7", "007"], ("7",)).numbers == {"7": 0, "007": 0}


def test_a_run_keeps_its_numbers() -> None:
    trained = ("0", "1", "10", "2")  # the order of an older version
    assert classes_of(["2", "1", "0", "10"], trained).numbers == {"0": 0, "1": 1, "10": 2, "2": 3}
    # Spellings that it told apart stay apart.
    assert classes_of(["bad", "bad "], ("bad", "bad ")).numbers == {"bad": 0, "bad ": 1}
    # Another spelling of a class of the run is that class.
    assert classes_of(["0.0", "1.0"], ("0", "1")).numbers == {"0.0": 0, "1.0": 1}
    assert classes_of(["cat", "e\u0301"], (" cat", "\u00e9")).numbers == {"cat": 0, "e\u0301": 1}
    assert classes_of(["bad  "], ("bad", "bad ")).numbers == {"bad  ": 0}
    # What is new comes after them.
    added = classes_of(["3", "2"], trained)
    assert added.names == (*trained, "3")
    assert added.numbers == {"2": 3, "3": 4}


@given(
    st.lists(st.one_of(st.text(max_size=4), st.integers(-20, 20).map(str), st.floats(width=16).map(str))), st.booleans()
)
def test_any_labels(labels: list[str], exact: bool) -> None:
    classes = classes_of(labels, exact=exact)
    assert set(classes.numbers) == set(labels)
    assert set(classes.numbers.values()) == set(range(len(classes.names)))
    assert classes_of(reversed(labels), exact=exact) == classes
    # The names are labels of themselves, in the same order.
    assert classes_of(classes.names, exact=exact).names == classes.names
    if exact:
        assert set(classes.names) == set(labels)


def test_splits_with_other_classes() -> None:
    counts = {"train": Counter([0, 0, 1]), "validation": Counter([0]), "test": Counter([0, 1, 2])}
    assert unequal_classes_notes(("ant", "bee", "wasp"), counts) == (
        "without training samples, so never predicted: wasp",
        "without validation samples: bee",
    )
    counts["train"] = Counter([0, 1, 1, 1])
    hint = "without validation samples: bee (--stratified gives each class a share of every split)"
    assert unequal_classes_notes(("ant", "bee", "wasp"), counts, {"validation"})[1] == hint
    assert unequal_classes_notes(("ant", "bee", "wasp"), counts, {"test"})[1] == "without validation samples: bee"
    counts["train"][1] = 2  # too few for every split
    assert unequal_classes_notes(("ant", "bee", "wasp"), counts, {"validation"})[1] == "without validation samples: bee"
    equal = {split: Counter([0, 1]) for split in ("train", "validation", "test")}
    assert unequal_classes_notes(("ant", "bee"), equal) == ()


def test_many_names_are_cut() -> None:
    assert shown(["a", "b"]) == "a, b"
    assert shown([str(number) for number in range(100)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8 and 91 more"
