"""The page of ``tfdl serve`` in a headless Chromium: what a person sees who draws, drops a picture, or types."""

import io
import json
import math
import re
import shutil
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

import tfdl
from tfdl.config import compose
from tfdl.serving import ServeOptions, find_sources, make_app, open_state
from tfdl.serving.text_writer import StoppedWriting, TextWriter

CHROMIUM = shutil.which("chromium")
FEW_TEXTS = {
    "dataset.train_split": "train[:30]",
    "dataset.validation_split": "validation[:6]",
    "dataset.test_split": "test[:6]",
    "dataset.sequence_length": 24,
    "batch_size": 8,
}
SMALL_CNN = {"model.filters": [32, 32], "model.units": 64, "dataset.image_size": [16, 16]}
# Nothing writes so many tokens while a test runs.
MOST_TOKENS = 10**6
NARROW = {"width": 360, "height": 800}
WIDE = {"width": 1400, "height": 900}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_language: Any, data_dir: Path) -> dict[str, Path]:  # noqa: ARG001
    """A classifier that knows the digits, and one model of each other task, which need not know anything."""
    folder = tmp_path_factory.mktemp("served")
    small = {"model.hidden_dim": 16, "model.num_heads": 2, "model.num_layers": 1}
    configs = {
        "digits": compose(SMALL_CNN, {"epochs": 10}),
        "writer": tiny_language("transformer", steps=2),
        "topics": compose({"task": "text-classification", "model.units": 8, "steps": 2}, FEW_TEXTS),
        "dates": compose({"task": "translation", "steps": 2}, small, FEW_TEXTS),
    }
    paths = {name: tfdl.train(config, folder / name).path for name, config in configs.items()}
    paths["exported-topics"] = tfdl.export_saved_model(paths["topics"], folder / "exported-topics").path.parent
    return paths


@pytest.fixture(scope="module")
def address(runs: dict[str, Path]) -> Iterator[str]:
    """Where a server of these runs answers."""
    state = open_state(find_sources([str(path) for path in runs.values()]), ServeOptions(max_new_tokens=MOST_TOKENS))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(state), lifespan="off", log_level="critical", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    state.streams.close()
    for model in state.models.values():
        model.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page as it opens. Nothing may be asked from elsewhere, and nothing may go wrong without being shown."""
    page = browser.new_page(viewport=WIDE)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: request.url.startswith((address, "data:")) or problems.append(request.url))
    page.goto(address)
    page.wait_for_selector("#tools section")
    yield page
    page.close()
    assert problems == []


def choose(page: Any, model: str) -> None:
    page.select_option("#models", model)
    about = page.locator("#about").inner_text()
    assert re.fullmatch(rf"{model}, version 1: [a-z-]+ \(model [\w-]+\)", about)


def answered(page: Any) -> str:
    """What the page answers, as soon as it has answered."""
    page.wait_for_selector("[data-answer] .hint:has-text(' ms')")
    return str(page.locator("[data-answer]").inner_text())


def shown_classes(page: Any) -> list[list[str]]:
    """Name and probability of each class in the answer."""
    answered(page)
    return [row.inner_text().split("\t")[:2] for row in page.locator(".classes tr").all()]


def predicted_classes(run: Path, value: Any) -> list[list[str]]:
    """What ``tfdl predict`` answers, in the same form."""
    (record,) = tfdl.load(run).predict([value], top_k=5)
    return [[row["class_name"], f"{100 * row['probability']:.1f}%"] for row in record["top"]]


def ask(address: str, model: str, method: str, request: dict[str, Any]) -> Any:
    asked = urllib.request.Request(f"{address}/v1/models/{model}:{method}", json.dumps(request).encode())
    with urllib.request.urlopen(asked) as response:
        return json.load(response)


def draw_zero(page: Any) -> None:
    box = page.locator(".paper").bounding_box()
    points = [
        (
            box["x"] + box["width"] * (0.5 + 0.2 * math.cos(math.tau * number / 40)),
            box["y"] + box["height"] * (0.5 + 0.3 * math.sin(math.tau * number / 40)),
        )
        for number in range(41)
    ]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def test_a_drawn_digit(page: Any) -> None:
    draw_zero(page)
    name, probability = shown_classes(page)[0]
    assert (name, float(probability.rstrip("%")) > 60) == ("0", True)
    assert page.locator("figcaption").inner_text() == "what the model sees: 16x16 pixels"
    page.click("text=Clear")
    assert page.locator("[data-answer]").inner_text() == "Nothing asked yet."
    assert page.locator(".seen").is_hidden()


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_a_picture(page: Any, runs: dict[str, Path], digits: Any, tmp_path: Path, way: str) -> None:
    pixels = digits.sources["test"].read([3])["image"].numpy()[0]
    path = tmp_path / "digit.png"
    Image.fromarray(pixels[..., 0]).save(path)
    if way == "chosen":
        page.set_input_files(".drop input", path)
    else:
        drop = """(area, bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "digit.png", { type: "image/png" }));
            area.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }"""
        page.locator(".drop").evaluate(drop, list(path.read_bytes()))
    assert shown_classes(page) == predicted_classes(runs["digits"], path)


def test_a_file_that_is_no_picture(page: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("<b>not a picture</b>")
    page.set_input_files(".drop input", tmp_path / "notes.png")
    page.wait_for_selector(".error")
    assert page.locator(".error").inner_text() == "notes.png is not a picture that this browser can read"


def test_a_picture_that_only_the_browser_reads(page: Any) -> None:
    """It is sent as the pixels that are shown."""
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(stream, "WEBP")
    page.set_input_files(".drop input", {"name": "a.webp", "mimeType": "image/webp", "buffer": stream.getvalue()})
    assert len(shown_classes(page)) == 5


@pytest.mark.parametrize("model", ["topics", "exported-topics"])
def test_a_text_is_classified(page: Any, runs: dict[str, Path], model: str) -> None:
    choose(page, model)
    assert page.locator("[data-label]").inner_text() == "Text to classify"
    text = "Return a <b>list</b> of all threads."
    page.fill("textarea", text)
    page.press("textarea", "Control+Enter")
    assert shown_classes(page) == predicted_classes(runs["topics"], text)


def test_a_text_is_continued_as_it_is_written(page: Any, address: str) -> None:
    choose(page, "writer")
    page.fill("textarea", "Hello <i>you</i>")
    page.fill("[name=max_new_tokens]", "40")
    page.fill("[name=seed]", "7")
    page.click("text=Ask")
    assert "40 tokens" in answered(page)
    tops = page.locator("fieldset input").evaluate_all(
        "all => all.slice(0, 2).map((one) => one.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1]  # whatever the lines of their labels
    request = {"text": "Hello <i>you</i>", "max_new_tokens": 40, "temperature": 0.8, "top_k": 50, "top_p": 1, "seed": 7}
    expected = ask(address, "writer", "generate", request)["generated"]
    assert page.locator("[data-written]").text_content() == expected
    assert page.locator(".given").text_content() == "Hello <i>you</i>"


def test_a_text_can_be_stopped(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that a model draws may end before it is stopped. This one never ends."""

    def write(self: TextWriter, text: str, settings: Any, on_piece: Any, is_wanted: Any) -> None:  # noqa: ARG001
        while is_wanted():
            on_piece("a")
            threading.Event().wait(0.02)  # as a model would take
        raise StoppedWriting

    monkeypatch.setattr(TextWriter, "write", write)
    choose(page, "writer")
    page.fill("textarea", "Hello")
    page.fill("[name=max_new_tokens]", str(MOST_TOKENS))
    page.click("text=Ask")
    page.wait_for_selector("[data-written]:not(:empty)")
    page.click("text=Stop")
    page.wait_for_selector("text=stopped")
    assert len(page.locator("[data-written]").text_content()) > 0
    assert page.locator("[data-stop]").is_hidden()


def test_a_translation(page: Any, address: str) -> None:
    choose(page, "dates")
    page.fill("textarea", "3 March 1987")
    page.click("text=Ask")
    answered(page)
    expected = ask(address, "dates", "generate", {"text": "3 March 1987"})["generated"]
    assert page.locator("[data-written]").text_content() == expected
    assert page.locator("[data-settings]").is_hidden()


def test_an_error_of_the_server_is_shown(page: Any) -> None:
    choose(page, "writer")
    page.fill("textarea", "Hello")
    page.fill("[name=max_new_tokens]", str(MOST_TOKENS + 1))
    page.click("text=Ask")
    page.wait_for_selector(".error")
    assert page.locator(".error").inner_text() == "max_new_tokens is 1000001, expected from 1 to 1000000"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_everywhere(page: Any, runs: dict[str, Path], scheme: str) -> None:
    """No part lies beyond the edge, and every text stands out from what is behind it."""
    page.emulate_media(color_scheme=scheme)
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        for model in runs:
            choose(page, model)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    colours = "element => [getComputedStyle(element).color, getComputedStyle(document.body).backgroundColor]"
    for selector in ("h1", "#about", ".hint", "label"):
        assert contrast(*page.locator(selector).first.evaluate(colours)) >= 4.5


def contrast(first: str, second: str) -> float:
    """The contrast of two colours such as ``rgb(1, 2, 3)``, as WCAG 2.1 defines it."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_without_javascript_it_says_what_is_missing(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert "This page needs JavaScript" in page.inner_text("main")
    context.close()
