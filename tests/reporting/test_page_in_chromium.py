"""The page in a browser: nothing is loaded, nothing overflows, every text has contrast, and no script is needed."""

import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

# The colours of each text and of what is behind it, as the browser computes them.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const rgba = (color) => {
    if (!known.has(color)) known.set(color, drawn(color));
    return known.get(color);
  };
  const drawn = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 250) return color;
    }
    return [255, 255, 255, 255];
  };
  const luminance = (color) => color.slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!hasText || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const color = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [first, second] = [luminance(rgba(color)), luminance(behind(element))];
    const ratio = (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
    found.push([ratio, element.tagName, element.textContent.slice(0, 30)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def files(pages, tmp_path_factory):
    """The pages as files."""
    folder = tmp_path_factory.mktemp("files")
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return [folder / "one.html", folder / "three.html"]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser):
    """``opened(path, **options)``: a page that has reported no error and no request."""
    contexts = []
    problems = []

    def open_page(path: Path, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: problems.append(request.url) if not _is_own(request.url, path) else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def _is_own(url: str, path: Path) -> bool:
    return url == path.as_uri() or url.startswith("data:")


@pytest.mark.parametrize("width", [360, 1400])
def test_the_page_is_not_wider_than_the_window(opened, files, width):
    for path in files:
        page = opened(path, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Wide tables scroll within their box.
        boxes = page.evaluate(
            "[...document.querySelectorAll('.scroll')].map((box) => box.getBoundingClientRect().right)"
        )
        assert max(boxes) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(opened, files, scheme):
    """At least 4.5 to 1, as WCAG 2 asks of texts (AA)."""
    for path in files:
        page = opened(path, color_scheme=scheme)
        found = page.evaluate(CONTRASTS)
        assert len(found) > 100
        assert [each for each in found if each[0] < 4.5] == []
        background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (background == "rgb(246, 247, 249)") == (scheme == "light")


def test_the_test_of_contrast_finds_a_faint_text(opened, files):
    """Its control."""
    page = opened(files[0])
    page.evaluate("document.querySelector('h1 bdi').style.color = '#bbb'")
    assert [each[1] for each in page.evaluate(CONTRASTS) if each[0] < 4.5] == ["BDI"]


def test_tables_can_be_sorted(opened, files):
    page = opened(files[1])
    table = page.locator("table.sortable").nth(1)
    column = "(table) => [...table.tBodies[0].rows].map((row) => row.cells[2].textContent)"
    before = table.evaluate(column)
    table.locator("button").nth(2).click()
    assert table.evaluate(column) == sorted(before, key=float, reverse=True) != before
    assert table.locator("th").nth(2).get_attribute("aria-sort") == "descending"
    table.locator("button").nth(2).click()
    assert table.evaluate(column) == sorted(before, key=float)


def test_a_column_is_sorted_by_its_values(opened, files):
    """And not by the digits of value, interval and remark one after the other."""
    page = opened(files[1])
    table = page.locator("table.sortable").first
    cells = [
        "0.9500<small>0.9 to 0.97</small>",
        "★ 0.95<small>1 to 2</small>",
        "10",
        "–",
        "1,000.0<small>recorded</small>",
    ]
    table.evaluate(
        """(table, cells) => {
      const row = table.tBodies[0].rows[0];
      while (table.tBodies[0].rows.length < cells.length) table.tBodies[0].append(row.cloneNode(true));
      cells.forEach((cell, number) => { table.tBodies[0].rows[number].cells[2].innerHTML = cell; });
    }""",
        cells,
    )
    table.locator("button").nth(2).click()
    column = "(table) => [...table.tBodies[0].rows].map((row) => row.cells[2].firstChild.textContent)"
    assert table.evaluate(column) == ["1,000.0", "10", "★ 0.95", "0.9500", "–"]


def test_nothing_needs_a_script(opened, files):
    with_script = opened(files[1]).inner_text("main")
    without = opened(files[1], java_script_enabled=False).inner_text("main")
    for words in ("Confusion matrix", "Most confident mistakes", "Runs and results", "Curves side by side"):
        assert words in without
    assert without.split() == with_script.split()


def test_no_script_of_a_data_set_runs(opened, files):
    """``opened`` reports dialogs and errors of the policy; here an inline handler would be one."""
    page = opened(files[0])
    assert page.evaluate("document.querySelectorAll('img:not([src^=\"data:\"])').length") == 0
    assert page.evaluate("document.scripts.length") == 1


def test_printing(opened, files):
    page = opened(files[0])
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
