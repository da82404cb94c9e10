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
    report_output(output.page, [], overwrite=True).write(PAGE + "2", {})
    assert output.page.read_text() == PAGE + "2"


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


def test_a_file_that_is_no_report_is_never_replaced(tmp_path):
    page = tmp_path / "mine.html"
    page.write_text("<html>mine")
    with pytest.raises(UserError, match=r"mine\.html' exists; choose another file$"):
        report_output(page, [], overwrite=False)
    with pytest.raises(UserError, match=r"mine\.html' is no report, expected an earlier one to overwrite"):
        report_output(page, [], overwrite=True)
    # It came meanwhile.
    output = report_output(tmp_path / "new.html", [], overwrite=True)
    output.page.write_text("<html>mine")
    with pytest.raises(UserError, match=r"new\.html' is no report"):
        output.write(PAGE, {})
    assert output.page.read_text() == "<html>mine"


@pytest.mark.parametrize("name", ["link", "link.html"])
@pytest.mark.parametrize("is_dangling", [False, True])
def test_a_link_is_never_replaced(tmp_path, earlier, name, is_dangling):
    """Neither is what it leads to."""
    page = earlier / "report.html"
    target = tmp_path / "nowhere" if is_dangling else {"link": earlier, "link.html": page}[name]
    (tmp_path / name).symlink_to(target)
    with pytest.raises(UserError, match=rf"{name}' is a link, expected a folder or a file"):
        report_output(tmp_path / name, [], overwrite=True)


def test_places_that_cannot_be_written_to(tmp_path, monkeypatch):
    """Before the models are evaluated, and in words."""
    (tmp_path / "file").write_text("")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for around in (".", "..", tmp_path, "/"):
        with pytest.raises(UserError, match="is the working directory or around it"):
            report_output(around, [], overwrite=True)
    cases = {
        tmp_path / "file" / "report": r"is within '.*/file', which is no folder",
        tmp_path / "file" / "a" / "page.html": r"is within '.*/file', which is no folder",
        "a" * 300: "cannot be used: File name too long",
        "~no_such_user/report": "cannot be used: Could not determine home directory",
        "a\0b": "cannot be used: embedded null byte",
        "x/..": "is the working directory or around it",
        tmp_path / "new" / "x" / "..": r"ends with '\.\.'; give the name of a folder",
    }
    for output, words in cases.items():
        with pytest.raises(UserError, match=words):
            report_output(output, [], overwrite=True)
    monkeypatch.setattr("os.access", lambda path, _: str(path) != str(tmp_path))  # root may write anywhere
    with pytest.raises(UserError, match=rf"is within '{tmp_path}', where you may not write"):
        report_output(tmp_path / "new" / "report", [], overwrite=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "here"]


def test_outputs_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=r"is a file, expected a folder, or a file that ends with \.html"):
        report_output(tmp_path / "file", [], overwrite=True)
    with pytest.raises(UserError, match="is a folder, expected a file"):
        report_output(tmp_path / "folder.html", [], overwrite=True)
    assert report_output(tmp_path / "folder", [], overwrite=True).page == tmp_path / "folder" / "report.html"
