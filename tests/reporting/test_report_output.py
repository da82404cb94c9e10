"""Where a report is written, and what is never replaced."""

import re

import pytest

from tfdl.errors import UserError
from tfdl.reporting.page.render import GENERATOR
from tfdl.reporting.report_output import report_output

PAGE = f'<html><meta name="generator" content="{GENERATOR}">'


@pytest.fixture
def earlier(tmp_path):
    """A folder with a report."""
    folder = tmp_path / "earlier"
    report_output(folder, [], overwrite=False).write(PAGE, {"curves.png": b"1", "A-curves.png": b"2"})
    return folder


def test_the_default_places(tmp_path):
    one = report_output(None, [tmp_path / "run"], overwrite=False)
    assert one.page == tmp_path / "run" / "report" / "report.html"
    several = report_output(None, [tmp_path / "a", tmp_path / "b"], overwrite=False)
    assert str(several.page) == "report/report.html"


def test_a_folder_gets_the_figures(earlier):
    assert {path.name: path.read_bytes() for path in earlier.iterdir()} == {
        "report.html": PAGE.encode(),
        "curves.png": b"1",
        "A-curves.png": b"2",
    }
    assert [path.name for path in earlier.parent.iterdir()] == ["earlier"]  # nothing temporary


def test_a_file_is_the_page_alone(tmp_path):
    output = report_output(tmp_path / "new" / "page.html", [], overwrite=False)
    assert output.write(PAGE, {}) == [tmp_path / "new" / "page.html"]
    with pytest.raises(UserError, match=r"page\.html' exists; choose another file, or replace it with --overwrite"):
        report_output(output.page, [], overwrite=False)
    report_output(output.page, [], overwrite=True).write("other", {})
    assert output.page.read_text() == "other"


def test_an_earlier_report_is_replaced_as_a_whole(earlier):
    with pytest.raises(UserError, match="has a report; choose another folder, or replace an earlier report with"):
        report_output(earlier, [], overwrite=False)
    report_output(earlier, [], overwrite=True).write(PAGE + "2", {"curves.png": b"3"})
    assert sorted(path.name for path in earlier.iterdir()) == ["curves.png", "report.html"]
    assert (earlier / "curves.png").read_bytes() == b"3"


@pytest.mark.parametrize("name", ["notes.txt", "config.yaml", "other.png", "sub"])
def test_what_is_no_report_is_never_replaced(earlier, name):
    (earlier / name).mkdir() if name == "sub" else (earlier / name).write_text("mine")
    with pytest.raises(UserError, match=re.escape(f"has '{name}', which a report does not have")):
        report_output(earlier, [], overwrite=True)


def test_something_that_came_meanwhile_is_not_replaced(earlier):
    output = report_output(earlier, [], overwrite=True)
    (earlier / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"has 'notes\.txt'"):
        output.write(PAGE, {})
    assert (earlier / "curves.png").read_bytes() == b"1"
    assert [path.name for path in earlier.parent.iterdir()] == ["earlier"]


def test_a_page_of_another_program(tmp_path):
    (tmp_path / "report.html").write_text("<html>")
    with pytest.raises(UserError, match="has no report, expected an earlier report to overwrite"):
        report_output(tmp_path, [], overwrite=True)
    with pytest.raises(UserError, match="is not empty; choose another folder"):
        report_output(tmp_path, [], overwrite=False)


def test_outputs_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=r"is a file, expected a folder, or a file that ends with \.html"):
        report_output(tmp_path / "file", [], overwrite=True)
    with pytest.raises(UserError, match="is a folder, expected a file"):
        report_output(tmp_path / "folder.html", [], overwrite=True)
    assert report_output(tmp_path / "folder", [], overwrite=True).page == tmp_path / "folder" / "report.html"
