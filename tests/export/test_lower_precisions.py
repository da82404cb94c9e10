"""What lower precisions cost, and what is refused, in all formats that have them."""

import numpy as np
import pytest

import tfdl
from tests.export.small_models import MODELS, NAMES, small_run
from tfdl.config import compose
from tfdl.errors import RunError, UserError
from tfdl.export import cost
from tfdl.export.cost import BOUNDS, Cost, cost_of
from tfdl.export.differences import check_lower_precision
from tfdl.export.file_metrics import FileInGraph, file_metrics, num_measured
from tfdl.export.tensors import TensorType
from tfdl.tasks import Translation
from tfdl.tasks.translation_metrics import text_metrics

BOTH = pytest.mark.parametrize("export", [tfdl.export_onnx, tfdl.export_litert], ids=["onnx", "litert"])


@pytest.mark.parametrize(
    ("before", "after", "is_sound"),
    [
        ({"accuracy": 0.9}, {"accuracy": 0.88}, True),
        ({"accuracy": 0.9}, {"accuracy": 0.87}, False),
        ({"accuracy": 0.9}, {"accuracy": 0.95}, True),
        ({"accuracy": 0.9}, {"accuracy": float("nan")}, False),
        ({"perplexity": 20.0, "accuracy": 0.3}, {"perplexity": 21.0, "accuracy": 0.1}, True),
        ({"perplexity": 20.0}, {"perplexity": 21.1}, False),
        ({"perplexity": 20.0}, {"perplexity": float("inf")}, False),
        ({"exact_match": 0.5, "bleu": 30.0}, {"exact_match": 0.1, "bleu": 28.0}, True),
        ({"bleu": 30.0}, {"bleu": 27.9}, False),
        # A model that has learned little must not lose it all.
        ({"bleu": 1.9}, {"bleu": 0.0}, False),
        ({"bleu": 1.9}, {"bleu": 1.75}, True),
        ({"bleu": 0.0}, {"bleu": 0.0}, True),
        ({"accuracy": 0.015}, {"accuracy": 0.0}, False),
        ({"accuracy": 0.015}, {"accuracy": 0.0136}, True),
        ({"accuracy": 0.0}, {"accuracy": 0.0}, True),
    ],
)
def test_the_bounds(before, after, is_sound):
    assert cost_of(before, after, 10, 10).is_sound == is_sound


def test_a_task_with_other_metrics():
    with pytest.raises(UserError, match="the task's metrics are loss, iou, expected one of perplexity, bleu, accuracy"):
        cost_of({"loss": 1.0, "iou": 0.5}, {"loss": 1.0, "iou": 0.5}, 10, 10)


def test_the_line():
    accuracy = BOUNDS[-1]
    line = str(Cost(accuracy, 0.98125, 0.98, 1800, 1800))
    assert line == "accuracy 0.9812 -> 0.9800 on the test split (1,800 samples)"
    bleu = BOUNDS[1]
    line = str(Cost(bleu, 30.0, 29.5, 10_000, 45_000))
    assert line == "bleu 30.0000 -> 29.5000 on the test split (10,000 of 45,000 samples)"


@BOTH
@pytest.mark.usefixtures("quickly")
def test_a_precision_that_costs_too_much_is_not_left_behind(trained_run, tmp_path, monkeypatch, export):
    monkeypatch.setattr(cost, "BOUNDS", (cost.Bound("accuracy", -1.0, 0.1, "at least 1 more"),))
    message = (
        r"precision 'float16' costs too much: accuracy .* -> .*, expected at least 1 more; nothing was written; use"
    )
    with pytest.raises(UserError, match=message):
        export(trained_run, tmp_path / "out", precision="float16")
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_data_that_is_not_there(tmp_path, export):
    run = small_run("cnn", tmp_path / "run", {"dataset.name": str(tmp_path / "gone")})
    with pytest.raises(
        UserError, match="what precision 'float16' costs is measured on the run's own data, which cannot"
    ):
        export(run, tmp_path / "out", precision="float16")
    assert not (tmp_path / "out").exists()


@BOTH
@pytest.mark.usefixtures("quickly")
def test_data_that_python_code_passed(tmp_path, export):
    random = np.random.default_rng(0)
    splits = {"train": 8, "validation": 4, "test": 4}
    data = {
        split: (random.integers(0, 256, (count, 8, 8, 3), np.uint8), np.resize(NAMES, count))
        for split, count in splits.items()
    }
    run = small_run("cnn", tmp_path / "run", {"dataset.name": "python"})
    message = rf"which Python code passed; pass it again: tfdl\.{export.__name__}\("
    with pytest.raises(UserError, match=message):
        export(run, tmp_path / "out", precision="float16")
    exported = export(run, tmp_path / "out", precision="float16", data=data)
    assert exported.cost.num_samples == 4


def test_translations_are_measured_by_what_the_file_writes():
    """In batches of other lengths and in another order than the split's. This file writes its source again."""
    task_name, model_fields = MODELS["translation"]
    dataset = {"name": "dates", "test_split": "test[:300]"}
    task, sources = Translation.open(
        compose({"task": task_name, "model": model_fields, "dataset": dataset, "model.sequence_length": 64})
    )
    file = FileInGraph(lambda inputs: {"target": inputs["source"]}, {"target": TensorType("int32", ("any", "any"))})
    texts = sources["test"].texts("source", "target")
    found = file_metrics(file, task, sources["test"])
    assert found == text_metrics(texts["source"].tolist(), texts["target"].tolist())
    assert found["chrf"] > 1
    assert num_measured(task, sources["test"]) == 300
    # Of more samples than are decoded, some are measured.
    task.most_decoded = 70
    texts = sources["test"].spread(70).texts("source", "target")
    found = file_metrics(file, task, sources["test"])
    assert found == text_metrics(texts["source"].tolist(), texts["target"].tolist())
    assert num_measured(task, sources["test"]) == len(texts["source"]) == 70


@pytest.mark.usefixtures("quickly")
def test_the_number_of_translations_is_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(Translation, "most_decoded", 5)
    run = small_run("translation", tmp_path / "run", {"dataset": {"name": "dates", "test_split": "test[:8]"}})
    exported = tfdl.export_onnx(run, tmp_path / "out", precision="float16")
    assert str(exported.cost).endswith("on the test split (5 of 8 samples)")


@BOTH
def test_a_precision_that_there_is_not(trained_run, tmp_path, export):
    with pytest.raises(UserError, match=r"precision 'int4', but the format \w+ has float32, float16, int8"):
        export(trained_run, tmp_path / "out", precision="int4")


def test_answers_of_a_lower_precision():
    """They are compared with those of another process, and must be numbers."""
    answers = {"one": {"logits": np.ones([2, 3], np.float32)}}
    check_lower_precision("the file", answers, {"one": {"logits": np.ones([2, 3], np.float32)}})
    with pytest.raises(RunError, match=r"the file answers otherwise in another process, by 0\.5; nothing was written"):
        check_lower_precision("the file", answers, {"one": {"logits": np.full([2, 3], 1.5, np.float32)}})
    answers["one"]["logits"][1, 2] = np.nan
    with pytest.raises(RunError, match=r"the file answers with logits that are NaN or infinite; nothing was written"):
        check_lower_precision("the file", answers, answers)
