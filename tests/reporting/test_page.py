"""The page: well-formed, safe for any text, without anything from outside, not too large."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from lxml import html as lxml_html

from tests.reporting.made_report import HOSTILE, classifier, measured, page_of, reported
from tests.reporting.made_run import DONE, SUMMARY, make_run
from tfdl.reporting.comparison import compare
from tfdl.reporting.drawing.curve_panels import run_panels
from tfdl.reporting.facts.curves import Series
from tfdl.reporting.facts.run_facts import read_facts
from tfdl.reporting.page.results import cost_rows
from tfdl.reporting.reported_run import ReportedRun

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta"}


class Checked(HTMLParser):
    """Checks that each element is closed, and collects tags and attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["one", "three"])
def test_a_well_formed_page_without_anything_from_outside(pages, name):
    page = pages[name]
    checked = Checked(page)
    tags = [tag for tag, _ in checked.tags]
    assert tags.count("script") == 1
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(tags)
    ids = [values["id"] for _, values in checked.tags if "id" in values]
    assert len(ids) == len(set(ids))
    for tag, values in checked.tags:
        assert not [attribute for attribute in values if attribute.startswith("on")]
        if tag == "img":
            assert values["alt"]
            assert values["src"].startswith("data:image/png;base64,")
        for attribute in ("href", "src"):
            assert (values.get(attribute) or "#").startswith(("#", "data:image/png;base64,")), values
        if (values.get("href") or "").startswith("#"):
            assert values["href"][1:] in ids
        if tag == "svg":
            assert values["role"] == "img"
            assert values["aria-label"]
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_the_policy_of_the_page(pages):
    import base64
    import hashlib

    (policy,) = [values["content"] for tag, values in Checked(pages["one"]).tags
                 if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    script = re.search(r"<script>(.*)</script>", pages["three"], re.DOTALL)[1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_any_text_is_shown_as_it_is(pages):
    page = pages["one"]
    assert "<script>alert(1)" not in page
    root = lxml_html.fromstring(page)
    text = root.text_content()
    cleaned = ["\ufffd\ufffd\ufffd[31m\ufffd", "\ufffd half a character", "line\nbreak"]
    for shown in [*HOSTILE[:3], *HOSTILE[6:11], *cleaned]:
        assert shown in text, shown
    assert root.findtext(".//h1/bdi") == HOSTILE[0]
    # Nothing that XML or UTF-8 cannot contain.
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", page)
    assert max(len(cell.text_content()) for cell in root.iter("td", "th")) < 200  # long names are cut in tables


def test_headings_and_tables_have_a_structure(pages):
    root = lxml_html.fromstring(pages["three"])
    levels = [int(heading.tag[1]) for heading in root.iter("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in root.iter("table"):
        assert table.findtext("caption") is not None
        for cell in table.iter("th"):
            assert cell.get("scope") in ("col", "row")
        widths = {len(row) for row in table.iter("tr")}
        assert len(widths) == 1, table.findtext("caption")


def test_the_best_is_marked_by_a_sign(pages):
    root = lxml_html.fromstring(pages["three"])
    best = [cell.text_content() for cell in root.iter("td") if "best" in (cell.get("class") or "").split()]
    assert best
    assert all(text.startswith("★ ") for text in best)


def test_a_confusion_matrix_that_can_be_read(tmp_path):
    root = lxml_html.fromstring(page_of(classifier(tmp_path / "a")))
    (table,) = [table for table in root.iter("table") if table.get("class") == "matrix"]
    rows = [[cell.text_content().strip() for cell in row.iter("td")] for row in table.iter("tr")][1:]
    run = reported(tmp_path / "a", "A", None)
    assert run.measured is None  # the control: without a model there is no matrix
    assert 'class="matrix"' not in page_of(run)
    counts = classifier(tmp_path / "a").measured.classes.counts
    for row, values in zip(rows, counts.tolist(), strict=True):
        for cell, value in zip(row, values, strict=True):
            assert re.match(rf"{value}(\D|$)", cell) or cell.startswith(f"{value}{100 * value / sum(values):.1f}%")


def test_a_thousand_classes(tmp_path):
    """The matrix would be too large; pairs and scores are there, and the page stays small."""
    page = page_of(classifier(tmp_path / "a", names=[f"class {number}" for number in range(1000)], count=5000))
    assert "The confusion matrix of 1,000 classes would be too large to read." in page
    assert 'class="matrix"' not in page
    assert "class 999" in page
    assert len(page) < 500_000


def test_images_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("tfdl.reporting.page.run_view._MOST_IMAGE_BYTES", 500)
    page = page_of(classifier(tmp_path / "a"))
    assert 1 <= page.count("<img ") <= 5


def test_the_same_run_has_the_same_page(tmp_path):
    assert page_of(classifier(tmp_path / "a")) == page_of(classifier(tmp_path / "a"))


def texts_of_table(page: str, caption: str) -> dict[str, str]:
    """The rows of a table of pairs."""
    (table,) = [table for table in lxml_html.fromstring(page).iter("table") if table.findtext("caption") == caption]
    return {row[0].text_content(): row[1].text_content() for row in table.iter("tr")}


def test_the_page_names_the_weights_that_were_measured(tmp_path):
    """The run recorded the digest of its last step, and another checkpoint was measured."""
    run = classifier(tmp_path / "a")
    other = dataclasses.replace(run.measured, checkpoint="step-00000115", weights_sha256="cd34")
    page = page_of(dataclasses.replace(run, measured=other))
    assert texts_of_table(page, "Environment").items() >= {
        ("SHA-256 of the weights, last step", "ab12"),
        ("SHA-256 of the measured weights, step 115", "cd34"),
    }
    assert "Confusion matrix on the test split (step 115)" in page
    assert "Scores of each class (step 115)" in page
    assert "mistakes on the test split (step 115), the most confident first" in page
    assert ">test, step 115</th>" in page
    same = dataclasses.replace(run.measured, weights_sha256="ab12")
    assert "of the measured weights" not in page_of(dataclasses.replace(run, measured=same))


def test_flops_are_a_bound(tmp_path):
    costs = texts_of_table(page_of(classifier(tmp_path / "a")), "Cost")
    assert costs["FLOPs to train on an example"] == "at most 123 k"


def test_quick_validations_of_translations_are_explained(tmp_path):
    run = reported(tmp_path / "a")
    words = "Validations within the training decode fewer samples than the results do"
    assert words not in page_of(run)
    curves = dataclasses.replace(run.facts.curves, validation={"exact_match": Series((10, 20), (0.1, 0.2))})
    assert words in page_of(dataclasses.replace(run, facts=dataclasses.replace(run.facts, curves=curves)))


def test_results_of_a_run_that_goes_on_are_those_of_its_last_validation(tmp_path):
    run = reported(tmp_path / "a")
    listed = dataclasses.replace(run.facts.listed, state="unfinished")
    page = page_of(dataclasses.replace(run, facts=dataclasses.replace(run.facts, listed=listed)))
    assert ">validation, last validation</th>" in page
    assert ">validation, last step</th>" in page_of(run)


def test_the_names_above_a_matrix_stand_upright_if_they_are_long(tmp_path):
    """A name that is wider than its column would be broken within words."""
    labels = np.arange(20) % 2
    found = {}
    for name in ("c", "collections"):
        run = reported(tmp_path / name, "A", measured(("a", name), labels, 1 - labels))
        found[name] = 'class="matrix long"' in page_of(run)
    assert found == {"c": False, "collections": True}


def test_mistakes_name_the_answer_and_the_truth(tmp_path):
    root = lxml_html.fromstring(page_of(classifier(tmp_path / "a")))
    first = root.find_class("mistakes")[0][0]
    lines = [" ".join(line.text_content().split()) for line in first.iter("p")]
    assert re.fullmatch(r"answered .+ \(\d+(\.\d)?%\)", lines[0])
    assert re.fullmatch(r"true .+ \(\d+(\.\d)?%\)", lines[1])


def test_a_digest_is_broken_in_its_middle(tmp_path):
    page = page_of(reported(tmp_path / "a", "A", None, weights_sha256="0a" * 32))
    assert f"{'0a' * 16}<wbr>{'0a' * 16}" in page
    assert "<wbr>" not in page_of(reported(tmp_path / "b", "A", None))


def test_the_cost_explains_which_examples_have_a_time(tmp_path):
    progress = {"step": 60, "examples": 4311, "timed_examples": 3031, "train_seconds": 12.6}
    run = make_run(tmp_path / "run", summary=SUMMARY, status=DONE, progress=progress)
    rows = dict(cost_rows(ReportedRun("A", read_facts(run), None, ())))
    assert rows["time of training steps"] == "12.6 s, for 3,031 of the examples: without calls that compile"
    assert rows["training examples read"] == "4,311"


def test_a_single_validation_has_no_figure(tmp_path):
    line = {"kind": "epoch", "step": 10, "epoch": 1, "validation": {"loss": 1.0, "accuracy": 0.5}, "time": 1.7e9}
    later = {**line, "step": 20, "epoch": 2}
    names = {}
    for number, lines in enumerate(((line,), (line, later))):
        run = make_run(tmp_path / str(number), summary=SUMMARY, status=DONE, reports=lines)
        names[number] = [panel.name for panel in run_panels(read_facts(run))]
    assert names == {0: [], 1: ["loss", "accuracy"]}


def test_what_is_printed_of_a_run_is_short(tmp_path):
    runs = [classifier(tmp_path / "a"), classifier(tmp_path / "b", letter="B")]
    comparison = compare(runs, "test")
    assert comparison.changes
    assert max(map(len, map(repr, [*runs, *comparison.changes]))) < 300
    found = runs[0].measured
    assert max(map(len, map(repr, [found, found.classes, *found.classes.mistakes, runs[0].facts]))) < 2000
