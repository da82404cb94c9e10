"""What TensorBoard reads of a run: its own reader reads the files back."""

import itertools
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata as hparams

import tfdl
from tfdl.config import TrainConfig
from tfdl.errors import StoppedError
from tfdl.evaluation import evaluate_in_detail
from tfdl.runs import Progress, RunDirectory
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.training import Callback, tensorboard_samples
from tfdl.training.callbacks import StepReport, ValidationReport
from tfdl.training.csv_log import CsvLog
from tfdl.training.event_file import EventFile
from tfdl.training.metrics_log import MetricsLog
from tfdl.training.pace import Pace
from tfdl.training.run_logs import RunLogs
from tfdl.training.samples import written_texts
from tfdl.training.samples.confusion_picture import confusion_picture
from tfdl.training.samples.sample_text import SampleText, as_markdown
from tfdl.training.samples.validation_samples import NoSamples, Picture, Shown, ValidationSamples
from tfdl.training.tensorboard_log import TensorBoardLog
from tfdl.training.tensorboard_samples import TensorBoardSamples
from tfdl.training.tracker import Tracker


def read(folder: Path) -> EventAccumulator:
    """All that TensorBoard's server has of a folder."""
    events = EventAccumulator(str(folder), {"tensors": 0})
    events.Reload()
    return events


def tags(folder: Path, plugin: str) -> list[str]:
    """What a dashboard of TensorBoard lists."""
    metadata = read(folder).AllSummaryMetadata()
    return [tag for tag, of_tag in metadata.items() if of_tag.plugin_data.plugin_name == plugin]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = read(folder)
    return {
        tag: [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        for tag in tags(folder, "scalars")
    }


def texts(folder: Path, tag: str) -> dict[int, str]:
    assert tag in tags(folder, "text")
    return {event.step: event.tensor_proto.string_val[0].decode() for event in read(folder).Tensors(tag)}


def pictures(folder: Path, tag: str) -> dict[int, np.ndarray]:
    assert tag in tags(folder, "images")
    found = {}
    for event in read(folder).Tensors(tag):
        width, height, encoded = event.tensor_proto.string_val
        found[event.step] = decoded(encoded)
        assert found[event.step].shape == (int(height), int(width), 3)
    return found


def decoded(encoded: bytes) -> np.ndarray:
    return tf.io.decode_image(encoded).numpy()


def lines_of(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


@pytest.fixture
def always(monkeypatch):
    """Texts are written after each validation, although the run is short."""
    monkeypatch.setattr(tensorboard_samples, "_SHARE", math.inf)


def test_scalars_are_those_of_metrics_jsonl_and_of_the_rows(tiny, tmp_path):
    rows_seen = []

    class Watch(Callback):
        def on_validation_rows(self, progress, rows):
            rows_seen.append((progress.step, float(np.mean(rows["label"] == rows["prediction"]))))

    config = tiny({"optimizer.schedule": "cosine"}, validation_steps=5, log_norms=True)
    run = tfdl.train(config, tmp_path / "run", callbacks=[Watch()])
    expected: dict[str, dict[str, list[tuple[int, float]]]] = {"train": {}, "validation": {}}
    for line in lines_of(run):
        found = {"validation": line.get("validation", {})}
        if line["kind"] == "steps":
            rates = ("learning_rate", "examples_per_second", "gradient_norm", "weight_norm")
            found["train"] = {**line["train"], **{name: line[name] for name in rates}}
        for split, values in found.items():
            for name, value in values.items():
                expected[split].setdefault(name, []).append((line["step"], value))
    for split, of_split in expected.items():
        shown = scalars(run.tensorboard / split)
        assert shown.keys() == of_split.keys()
        for name, points in of_split.items():
            assert [step for step, _ in shown[name]] == [step for step, _ in points]
            values = [value for _, value in points]
            assert [value for _, value in shown[name]] == pytest.approx(values, rel=1e-3)  # the speed is rounded
    assert len({rate for _, rate in scalars(run.tensorboard / "train")["learning_rate"]}) > 3
    assert rows_seen == expected["validation"]["accuracy"]


def test_the_configuration_and_hyperparameters(trained_run):
    (text,) = texts(trained_run.tensorboard, "config").values()
    assert text == "\n".join(f"    {line}" for line in trained_run.config_path.read_text().splitlines())
    content = read(trained_run.tensorboard).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    info = hparams.parse_session_start_info_plugin_data(content)
    assert info.hparams["batch_size"].number_value == 128
    assert info.hparams["optimizer.name"].string_value == "adam"
    assert info.hparams["deterministic"].WhichOneof("kind") == "bool_value"
    assert "steps" not in info.hparams  # epochs were given


def test_the_confusion_matrix_is_that_of_the_evaluation(trained_run):
    details = evaluate_in_detail(trained_run.path, split="validation").details
    counts = np.array(details["confusion_matrix"])
    shown = pictures(trained_run.tensorboard, "confusion_matrix")
    assert sorted(shown) == [12, 24]
    names = list(details["classes"])
    np.testing.assert_array_equal(shown[24], np.asarray(confusion_picture(counts, names)))
    counts[0, 0] += 1
    assert (shown[24] != np.asarray(confusion_picture(counts, names))).any()  # the control


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("model", ["rnn", pytest.param("transformer", marks=pytest.mark.slow)])
def test_a_language_model_writes_and_its_weights_stay_bit_identical(tiny_language, tmp_path, model):
    """With dropout and averages; within an epoch, where the rnn carries its state on."""
    config = tiny_language(model, {"optimizer.ema_momentum": 0.9}, steps=14, validation_steps=7)
    run = tfdl.train(config, tmp_path / "with")
    shown = texts(run.tensorboard, "samples")
    assert sorted(shown) == [7, 14]
    (given,) = {tuple(re.findall(r"given:\n\n(.*?)\n\n", text, re.DOTALL)) for text in shown.values()}
    assert len(given) == 4
    assert given[0] == '    The "ass'
    if model == "transformer":
        # The weights that were evaluated have written: the averages, which the last checkpoint has.
        loaded = tfdl.runs.load_run(run)
        assert as_markdown(written_texts.WrittenTexts(loaded.model, *opened(config)).of({}).texts) == shown[14]
    without = tfdl.train(config.replace(log_samples=False), tmp_path / "without")
    assert tags(without.tensorboard, "text") == ["config"]
    assert without.read_summary()["weights_sha256"] == run.read_summary()["weights_sha256"]


def opened(config: TrainConfig) -> tuple[LanguageModeling, Any]:
    task, sources = LanguageModeling.open(config)
    return task, sources["validation"]


def test_images_change_no_bit_of_the_weights(tiny, tmp_path, trained_run):
    without = tfdl.train(tiny(log_samples=False), tmp_path / "run")
    assert tags(without.tensorboard, "images") == []
    assert tags(trained_run.tensorboard, "images") == ["confusion_matrix", "images"]
    assert without.read_summary()["weights_sha256"] == trained_run.read_summary()["weights_sha256"]


class SlowSamples(ValidationSamples):
    """Takes two seconds of a clock that a test sets."""

    costs_time = True

    def __init__(self, clock):
        self.clock = clock

    def of(self, rows):  # noqa: ARG002
        self.clock.now += 2.0
        return Shown([SampleText({"written": "a"})])


def started(folder: Path, samples: ValidationSamples, total_steps: int, config: Any) -> TensorBoardSamples:
    log = TensorBoardSamples(folder, 0, config, samples)
    log.on_start(SimpleNamespace(total_steps=total_steps))
    return log


def test_running_the_model_takes_a_twentieth_of_the_time(tiny, tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, time=lambda: 0.0)
    monkeypatch.setattr(tensorboard_samples, "time", clock)
    log = started(tmp_path, SlowSamples(clock), 100, tiny())
    for step in range(1, 101):
        clock.now += 5.0
        log.on_validation_rows(Progress(step=step), {})
    log.close()
    steps = list(texts(tmp_path, "samples"))
    assert steps[0] == 2  # the first is due after ten seconds
    assert 10 <= len(steps) <= 13  # 520 seconds


def test_texts_of_a_slow_model_end_in_time(tiny_language, monkeypatch):
    """The clock is looked at after each block of 16 tokens."""
    monkeypatch.setattr(written_texts, "time", SimpleNamespace(monotonic=itertools.count(0, 6).__next__))
    config = tiny_language("rnn")
    task, source = opened(config)
    model = tfdl.build_model(config.model, **task.model_arguments)
    (sample,) = written_texts.WrittenTexts(model, task, source).of({}).texts
    assert sample.parts["written"].endswith("…")
    assert 16 < len(sample.parts["written"]) <= 2 * 16 + 1  # a character, or less, for each token


class Stop(Callback):
    def on_steps(self, report):
        if report.progress.step == 17:
            raise StoppedError("enough")


def test_a_resumed_run_shows_each_step_once(tiny, tmp_path, trained_run):
    """It ended after its last checkpoint: what came after that is done again."""
    with pytest.raises(StoppedError):
        tfdl.train(tiny(), tmp_path / "run", callbacks=[Stop()])
    run = RunDirectory(tmp_path / "run")
    assert [step for step, _ in scalars(run.tensorboard / "train")["loss"]] == [5, 10, 12, 17]
    tfdl.train(tiny(), run.path, resume=True)
    for split in ("train", "validation"):
        expected = scalars(trained_run.tensorboard / split)
        expected.pop("examples_per_second", None)
        shown = scalars(run.tensorboard / split)
        shown.pop("examples_per_second", None)
        assert shown == expected
    assert sorted(pictures(run.tensorboard, "images")) == [12, 24]
    assert len(list((run.tensorboard / "train").iterdir())) == 2


def test_steps_that_are_done_again_after_a_return(tmp_path):
    file = EventFile(tmp_path)
    for step, value in ((1, 0.5), (2, math.nan), (3, -math.inf)):
        file.scalars(step, {"loss": value})
    file.drop_after(1)
    file.scalars(2, {"loss": 0.25})
    file.close()
    assert scalars(tmp_path) == {"loss": [(1, 0.5), (2, 0.25)]}


def test_the_files_of_a_hundred_thousand_steps_stay_small(tmp_path):
    """One step for each report. Without the limit, metrics.jsonl would have 20 MB."""
    paths = [tmp_path / "metrics.jsonl", tmp_path / "metrics.csv", tmp_path / "tensorboard"]
    logs = RunLogs([MetricsLog(paths[0], 0), CsvLog(paths[1], 0), TensorBoardLog(paths[2], 0)])
    logs.on_start(SimpleNamespace(total_steps=100_000, membership=""))
    progress = Progress()
    report = StepReport(progress, {"loss": 1 / 3, "perplexity": 1.395612, "accuracy": 0.123456789}, 1 / 3000, 12345.6)
    for step in range(1, 100_001):
        progress.step = step
        logs.on_steps(report)
    logs.close()
    steps = [event.step for event in read(paths[2] / "train").Tensors("loss")]
    assert steps[0] == 1
    assert steps[-1] == 100_000
    assert steps[1:-1] == list(range(20, 100_000, 20))
    lines = paths[0].read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == steps
    assert len(paths[1].read_text().splitlines()) == len(steps) + 1
    sizes = [path.stat().st_size for path in (*paths[:2], *(paths[2] / "train").iterdir())]
    assert max(sizes) < 1_200_000
    assert min(sizes) > 100_000


@pytest.mark.parametrize(("total", "most"), [(1200, 20), (300, 20), (7, 20), (100_000, 5000), (100_001, 5000)])
def test_a_pace(total, most):
    pace = Pace(total, most)
    due = [step for step in range(1, total + 1) if pace.is_due(step)]
    assert due[0] == 1
    assert due[-1] == total
    assert min(total, most / 2) <= len(due) <= most + 2
    assert max(np.diff(due)) <= -(-total // most)


def test_samples_of_a_hundred_validations(tiny, tmp_path):
    """The file has those of about twenty."""

    class OnePicture(NoSamples):
        def of(self, rows):  # noqa: ARG002
            return Shown(pictures={"images": Picture(bytes(20_000), (1, 1))})

    log = started(tmp_path, OnePicture(), 1200, tiny())
    for step in range(12, 1201, 12):
        log.on_validation_rows(Progress(step=step), {})
    log.close()
    steps = [event.step for event in read(tmp_path).Tensors("images")]
    assert steps == [12, *range(60, 1201, 60)]
    (path,) = tmp_path.iterdir()
    assert 21 * 20_000 < path.stat().st_size < 21 * 20_000 + 10_000


def test_samples_that_fail_do_not_end_the_scalars(tiny, tmp_path):
    """Nor the run, since each log is a tracker."""
    notices = []

    class FailingSamples(NoSamples):
        def of(self, rows):  # noqa: ARG002
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory\nand more")

    logs = RunLogs(
        [
            Tracker(lambda: TensorBoardSamples(tmp_path, 0, tiny(), FailingSamples()), "the log", notices.append),
            Tracker(lambda: TensorBoardLog(tmp_path, 0), "the other log", notices.append),
        ]
    )
    logs.on_start(SimpleNamespace(total_steps=10))
    for step in (5, 10):
        progress = Progress(step=step)
        logs.on_validation_rows(progress, {})
        logs.on_validation(ValidationReport(progress, {"loss": 0.5}, 1.0))
    logs.close()
    assert notices == ["warning: the log ends here, and the run goes on: out of memory"]
    assert scalars(tmp_path / "validation")["loss"] == [(5, 0.5), (10, 0.5)]


def test_what_a_run_goes_back_over_is_shown_once(tiny, tmp_path):
    class OneText(NoSamples):
        def of(self, rows):  # noqa: ARG002
            return Shown([SampleText({"written": "a"})])

    logs = RunLogs([TensorBoardLog(tmp_path, 0), TensorBoardSamples(tmp_path, 0, tiny(), OneText())])
    logs.on_start(SimpleNamespace(total_steps=10))
    for step, value in ((2, 0.5), (4, 0.75)):
        for_step = Progress(step=step)
        logs.on_steps(StepReport(for_step, {"loss": value}, 0.001, 10.0))
        logs.on_validation_rows(for_step, {})
        logs.on_validation(ValidationReport(for_step, {"loss": value}, 1.0))
        logs.on_return(Progress(step=2))
    logs.close()
    for folder in ("train", "validation"):
        assert scalars(tmp_path / folder)["loss"] == [(2, 0.5)]
    assert list(texts(tmp_path, "samples")) == [2]
