"""The programs of docs/export-keras.md, export-onnx.md and export-litert.md ask an export as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfdl
from tests.export.small_models import MODELS, NAMES, small_model
from tfdl.config import compose
from tfdl.config.tokenizers import BytePairTokenizerConfig
from tfdl.data.tokenizers import BPETokenizer
from tfdl.interop.imported_run import write_imported_run
from tfdl.runs import RunDirectory
from tfdl.tasks import TextClassification

DOCS = Path(__file__).parents[2] / "docs"


def program_of(page, number=0):
    text = (DOCS / page).read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return compile(programs[number], page, "exec")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "new" / f"{number}.png")


@pytest.mark.parametrize("name", ["keras", "onnx", "litert"])
@pytest.mark.usefixtures("photos")
def test_images(trained_run, capfd, request, name):
    exported = request.getfixturevalue(f"digits_in_{name}")
    Path("exported").mkdir()
    Path("exported/photos").symlink_to(exported.path)
    exec(program_of(f"export-{name}.md"), {})
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [f"new/{number}.png" for number in range(5)]
    expected = list(tfdl.load(trained_run).predict(["new"]))
    assert len({answer["class_name"] for answer in expected}) > 1
    assert [line[1] for line in lines] == [answer["class_name"] for answer in expected]
    assert [float(line[2]) for line in lines] == pytest.approx([answer["probability"] for answer in expected], abs=1e-4)


@pytest.mark.usefixtures("quickly")
def test_texts(tmp_path, monkeypatch, capsys):
    """Hugging Face's tokenizers makes the tokens that tfdl makes, with the start token."""
    monkeypatch.chdir(tmp_path)
    texts = ["A quiet film that stays with you.", "Too long."]
    tokenizer = BPETokenizer.fit(BytePairTokenizerConfig(vocab_size=280), texts * 5)
    task = TextClassification(tokenizer, NAMES, 12)
    config = compose({"task": task.name, "model": MODELS["encoder"][1]})
    model = small_model(config, task)
    write_imported_run(RunDirectory("run"), config, task, model, {"source": "a test"})
    exported = tfdl.export_onnx("run", "exported/reviews")
    assert exported.files == ("labels.txt", "model.onnx", "tfdl.json", "tokenizer.json", "tokenizer_config.json")
    exec(program_of("export-onnx.md", 1), {})
    expected = task.serve(model, text=tf.constant(texts))["class_id"].numpy()
    assert capsys.readouterr().out == f"{[expected]}\n"


@pytest.mark.parametrize(
    ("format_name", "model"), [("keras", "model.keras"), ("onnx", "model.onnx"), ("litert", "model.tflite")]
)
def test_the_page_names_every_file_and_precision(format_name, model):
    text = (DOCS / f"export-{format_name}.md").read_text(encoding="utf-8")
    files = (model, "labels.txt", "tokenizer.json", "vocabulary.json", "tfdl.json")
    for word in (*files, *tfdl.config.EXPORT_FORMATS[format_name].precisions):
        assert word in text
