"""Reports of runs that were trained."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from lxml import html as lxml_html

import tfdl
from tests.reporting.made_run import SUMMARY, finished
from tfdl.config import to_yaml
from tfdl.errors import UserError
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.digest import weights_sha256
from tfdl.training.output import claim_output


@pytest.fixture(scope="module")
def two_runs(trained_run, tiny, tmp_path_factory):
    """The trained run, and one of a few steps that is hardly better than guessing."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(trained_run.path, folder / "good", symlinks=True)
    config = tiny({"optimizer.learning_rate": 1e-6}, steps=1)
    tfdl.train(config, folder / "poor")
    return folder / "good", folder / "poor"


@pytest.fixture(scope="module")
def report(two_runs, tmp_path_factory):
    return tfdl.report(two_runs, tmp_path_factory.mktemp("report") / "out")


def of(report, run, name):
    return next(finding for finding in report.findings if (finding.run, finding.name) == (run, name))


def test_the_results_are_those_of_an_evaluation(report, two_runs):
    for run, path in zip(report.runs, two_runs, strict=True):
        recorded = json.loads((path / "summary.json").read_text())["test"]
        assert run.measured.metrics == pytest.approx(recorded, rel=1e-5)
        assert run.measured.num_samples == 180
        assert run.measured.classes.counts.sum() == 180
        assert run.measured.checkpoint == sorted(path.glob("checkpoints/step-*"))[-1].name


def test_the_findings(report):
    good = of(report, "good", "guessing")
    assert (good.kind, good.values["better"]) == ("good", True)
    assert of(report, "poor", "guessing").kind == "warning"
    best = of(report, "", "best_run")
    assert best.values["runs"] == ["A"]
    change = of(report, "", "change")
    assert change.values["certain"] is True
    assert change.values["high"] < 0


def test_the_mistakes_are_mistakes(report, two_runs):
    """The model itself gives these answers with these probabilities."""
    run = report.runs[0]
    mistakes = run.measured.classes.mistakes
    assert len(mistakes) == min(24, run.measured.classes.num_mistakes) > 0
    trained = tfdl.load(two_runs[0])
    task, sources = type(trained.task).open(trained.config, trained.run.assets)
    for mistake in mistakes[:5]:
        sample = sources["test"].read([mistake.number])
        assert task.class_names[int(sample["label"][0])] == mistake.label
        (answer,) = trained.predict(np.asarray(sample["image"]))
        assert answer["class_name"] == mistake.prediction != mistake.label
        assert answer["probability"] == pytest.approx(mistake.confidence, abs=1e-4)
    confidences = [mistake.confidence for mistake in mistakes]
    assert confidences == sorted(confidences, reverse=True)


def test_the_files(report, two_runs):
    # B has one epoch of one report: there is no curve to draw.
    names = ["report.html", "curves.png", "A-curves.png", "A-confusion_matrix.png", "B-confusion_matrix.png"]
    assert [path.name for path in report.files] == names
    assert report.page == report.files[0]
    assert all(path.stat().st_size for path in report.files)
    assert report.page.stat().st_size < 500_000
    text = lxml_html.fromstring(report.page.read_text(encoding="utf-8")).text_content()
    for shown in ("optimizer.learning_rate", "1e-06", "A (good) has the best test accuracy", "FLOPs"):
        assert shown in text
    assert two_runs[0].parent.name not in text  # no path of this machine


def test_the_cost_of_the_model(report):
    """8x8 images: 64*1*9*4 products of the convolution, then 16*4*8 and 8*10; two FLOPs for each product."""
    forward = 2 * (64 * 9 * 4 + 16 * 4 * 8 + 8 * 10)
    assert 2 * forward < report.runs[0].measured.training_flops <= 3 * forward


def test_the_same_report_has_the_same_bytes(report, two_runs, tmp_path):
    again = tfdl.report(two_runs, tmp_path / "again")
    assert [path.name for path in again.files] == [path.name for path in report.files]
    for first, second in zip(report.files, again.files, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_the_best_checkpoint_and_another_split(two_runs, tmp_path):
    made = tfdl.report(str(two_runs[0]), tmp_path / "x.html", split="validation", checkpoint="best")
    (run,) = made.runs
    assert run.measured.metrics["accuracy"] == pytest.approx(run.facts.best.value)
    assert run.measured.checkpoint == (two_runs[0] / "checkpoints" / "best").resolve().name
    best = weights_sha256(load_run(RunDirectory.open(two_runs[0]), "best").model)
    assert run.measured.weights_sha256 == best
    assert made.files == (tmp_path / "x.html",)


def test_from_the_files_alone(two_runs, tmp_path):
    made = tfdl.report(two_runs[0], tmp_path / "x.html", use_model=False)
    assert [finding.name for finding in made.findings] == ["result", "best_checkpoint"]
    assert made.findings[0].values["value"] == made.runs[0].metrics("test")["accuracy"]
    text = made.page.read_text()
    assert "Made from the files of the run alone" in text
    assert "Confusion matrix" not in text


def test_the_report_in_a_run_does_no_harm(two_runs, tmp_path, tiny):
    """It is no file of the run: it stays when the run is resumed or replaced."""
    run = tmp_path / "run"
    shutil.copytree(two_runs[1], run, symlinks=True)
    page = tfdl.report(run, use_model=False).page
    assert page == run / "report" / "report.html"
    assert len(tfdl.reporting.list_runs(tmp_path)) == 1
    config = tiny({"optimizer.learning_rate": 1e-6}, steps=2)
    assert claim_output(run, config, resume=True).checkpoint is not None
    claim_output(run, config, overwrite=True).run.create(config)
    assert page.is_file()
    with pytest.raises(UserError, match="has a report"):
        tfdl.report(run, use_model=False)
    made = tfdl.report(run, use_model=False, overwrite=True)
    assert made.findings[0].text.startswith("The run has not finished (unfinished): ")


# Parts that are missing


def test_data_that_are_gone(tmp_path):
    config = tfdl.TrainConfig(dataset=tfdl.DatasetConfig(str(tmp_path / "photos")))
    folder = finished(tmp_path / "run")
    (folder / "config.yaml").write_text(to_yaml(config))
    (folder / "checkpoints" / "step-00000460" / "manifest.json").write_text("{}")
    made = tfdl.report(folder)
    warning = next(finding for finding in made.findings if finding.name == "not_measured")
    assert warning.text.startswith("The model was not measured on the test split: ")
    assert made.runs[0].metrics("test") == SUMMARY["test"]
    assert "The model was not measured on the test split" in made.page.read_text()


def test_samples_that_cannot_be_read(two_runs, tmp_path, monkeypatch):
    """The report has the other run, and of this one what the files say."""
    calls = []

    def damaged(mistakes, source):  # noqa: ARG001
        calls.append(len(mistakes))
        if len(calls) == 1:
            tf.io.decode_png(b"no image")
        return list(mistakes)

    monkeypatch.setattr("tfdl.reporting.measuring.measure.with_images", damaged)
    made = tfdl.report(two_runs, tmp_path / "x.html")
    assert len(calls) == 2
    assert of(made, "good", "not_measured").text.startswith("The model was not measured on the test split: ")
    assert of(made, "poor", "guessing").values["samples"] == 180
    assert made.comparison.recorded == ("A",)
    assert made.comparison.changes == ()


def test_a_run_of_python_objects(tmp_path):
    """Curves and results are there; with the data, the results are measured."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(64, 3)).astype(np.float32), generator.normal(size=(64, 1)).astype(np.float32)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    data = {"train": (x, y), "validation": (x, y), "test": (x, y)}
    run = tfdl.train(tfdl.TrainConfig(batch_size=16, epochs=2, xla="off"), tmp_path / "run", model=model, data=data)
    made = tfdl.report(run, tmp_path / "a.html")
    assert any(finding.name == "not_measured" for finding in made.findings)
    assert "<svg" in made.page.read_text()
    again = tfdl.report(run, tmp_path / "b.html", data=data)
    assert not any(finding.name == "not_measured" for finding in again.findings)
    assert again.runs[0].measured.metrics == pytest.approx(json.loads(run.summary_path.read_text())["test"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": []}, "no runs, expected at least one run directory"),
        ({"split": "tset"}, "split 'tset', expected one of train, validation, test. Did you mean 'test'?"),
        ({"split": "bogus", "use_model": False}, "split 'bogus', expected one of train, validation, test."),
        ({"checkpoint": "step-1"}, "has no checkpoint 'step-1'; it has best, last"),
    ],
)
def test_bad_arguments(two_runs, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        tfdl.report(**{"runs": two_runs[0], "output": tmp_path / "out", **arguments})
    assert not (tmp_path / "out").exists()
