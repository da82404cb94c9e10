"""What is shown of a validation: pictures, texts and the confusion matrix."""

import numpy as np
import pytest
from tensorboard.plugin_util import markdown_to_safe_html

import tfdl
from tests.training.test_tensorboard import decoded
from tfdl.tasks.image_classification import ImageClassification
from tfdl.training.samples import class_samples
from tfdl.training.samples.class_samples import ImageSamples
from tfdl.training.samples.confusion_picture import confusion_picture
from tfdl.training.samples.sample_text import SampleText, as_markdown
from tfdl.training.samples.translation_samples import TranslationSamples
from tfdl.training.samples.validation_samples import Shown


def test_cells_of_the_matrix():
    """Two classes: all of the first are right, a quarter of the second is taken for the first."""
    pixels = np.asarray(confusion_picture(np.array([[8, 0], [3, 9]]), ["a", "b"]))
    blue = (pixels == (11, 98, 184)).all(-1)  # the whole of a row
    rows, columns = np.where(blue)
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == 44
    corner = (rows.min() + 2, columns.min() + 2)
    assert tuple(pixels[corner[0], corner[1] + 44]) == (255, 255, 255)
    darkness = 255 - pixels[corner[0] + 44, [corner[1], corner[1] + 44], 0].astype(float)
    assert darkness / 244 == pytest.approx([0.08 + 0.92 / 4, 0.08 + 0.92 * 3 / 4], abs=0.005)


@pytest.mark.parametrize("num_classes", [1, 12, 30, 200])
def test_a_matrix_of_many_classes_has_a_bounded_size(num_classes):
    counts = np.random.default_rng(0).integers(0, 10**7, (num_classes, num_classes))
    names = ["the name of a class\nthat is very long"] * num_classes
    width, height = confusion_picture(counts, names).size
    assert width == height <= 900


def image_samples(channels: int, num_classes: int = 2) -> ImageSamples:
    """Of the images 0 to 29, whose pixels have the image's number."""
    images = np.zeros((30, 8, 8, channels), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None, None]
    source = tfdl.data.ArraySource({"image": images})
    names = ("right", "wrong", *map(str, range(2, num_classes)))
    return ImageSamples(ImageClassification((8, 8, channels), names, resized=False), source)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_images_are_spread_over_the_split_and_marked(channels, monkeypatch):
    grids = []

    def grid(*arguments):
        grids.append(arguments)
        return image_grid(*arguments)

    image_grid = class_samples.image_grid
    monkeypatch.setattr(class_samples, "image_grid", grid)
    labels = np.zeros(30, np.int32)
    predictions = np.arange(30) % 2
    samples = image_samples(channels)
    shown = samples.of({"label": labels, "prediction": predictions})
    images, names, notes, _ = grids[0]
    numbers = [image[0, 0, 0] for image in images]
    assert numbers == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]
    assert names == ["right"] * 12
    assert [note for note, _ in notes] == [("right", "wrong")[number % 2] for number in numbers]
    pixels = decoded(shown.pictures["images"].encoded)
    assert pixels.shape[:2] == shown.pictures["images"].size[::-1]
    is_green, is_red = ((pixels == colour).all(-1).any() for colour in ((15, 122, 60), (180, 40, 30)))
    assert is_green
    assert is_red
    # All right: no red, which is the control of the colours.
    pixels = decoded(samples.of({"label": labels, "prediction": labels}).pictures["images"].encoded)
    assert not (pixels == (180, 40, 30)).all(-1).any()


def test_what_is_not_shown():
    """Of derived tasks with other rows, of matrices with too many classes, of sources that are read in order."""
    rows = {"label": np.zeros(30, np.int32), "prediction": np.zeros(30, np.int32)}
    samples = image_samples(3)
    assert samples.of({"label": rows["label"]}) == Shown()
    assert image_samples(3, 201).of(rows).pictures.keys() == {"images"}
    samples._source.parallel_reads = False
    assert samples.of(rows).pictures.keys() == {"confusion_matrix"}
    assert TranslationSamples().of(rows) == Shown()


def test_a_large_photo_does_not_make_large_files():
    images = np.random.default_rng(0).integers(0, 256, (12, 300, 400, 3), np.uint8)
    task = ImageClassification((300, 400, 3), ("a",), resized=False)
    samples = ImageSamples(task, tfdl.data.ArraySource({"image": images}))
    zeros = np.zeros(12, np.int32)
    picture = samples.of({"label": zeros, "prediction": zeros}).pictures["images"]
    assert picture.encoded.startswith(b"\xff\xd8")  # JPEG
    assert len(picture.encoded) < 150_000


def test_translations():
    rows = {
        "source": np.array([f"source {number}" for number in range(9)], object),
        "target": np.array([f"target {number}" for number in range(9)], object),
        "translation": np.array([f"written ä {number}".encode() for number in range(9)], object),
        "loss": np.zeros(100),  # all samples; some are decoded
    }
    shown = TranslationSamples().of(rows).texts
    assert [sample.parts["source"] for sample in shown] == ["source 0", "source 2", "source 4", "source 6"]
    assert shown[1].parts == {"source": "source 2", "target": "target 2", "written": "written ä 2"}


def test_texts_of_classes(tiny_texts):
    task, sources = tiny_texts
    source = sources["validation"]
    expected = source.texts("text", "label")
    labels = expected["label"].astype(np.int32)
    predictions = np.zeros_like(labels)
    samples = class_samples.TextClassSamples(task, source)
    shown = samples.of({"label": labels, "prediction": predictions})
    assert "confusion_matrix" in shown.pictures
    places = np.arange(4) * len(labels) // 4
    for sample, place in zip(shown.texts, places, strict=True):
        assert sample.parts["text"] == expected["text"][place]
        assert sample.parts["class"] == task.class_names[labels[place]]
        assert sample.parts["predicted"] == task.class_names[0]


@pytest.fixture
def tiny_texts():
    from tfdl.config import compose
    from tfdl.tasks.text_classification import TextClassification

    return TextClassification.open(compose({"task": "text-classification", "tokenizer": "byte"}))


def test_nothing_in_a_text_is_read_as_markdown():
    hostile = "<script>alert(1)</script>\n\n# title\n```\nx\n```\n| a |\n\x00\x1b[31m\ud800 [a](javascript:b)\n\tend"
    markdown = as_markdown([SampleText({"given": hostile, "written": "a" * 5000})])
    page = markdown_to_safe_html(markdown)
    assert page.count("<pre>") == 2
    assert "<h1>" not in page
    assert "<script" not in page
    assert "<a " not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "    end" in page
    assert len(markdown) < 1200
    assert "<h1>" in markdown_to_safe_html("# title")  # the control
