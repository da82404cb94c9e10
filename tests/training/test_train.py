"""``tfdl.train`` from a configuration to results, and resuming a stopped run."""

import json
import shutil

import pytest

import tfdl
from tfdl.errors import RunError, UserError
from tfdl.training import Callback


def digest(run):
    return run.read_summary()["weights_sha256"]


def lines(run):
    """The lines of metrics.jsonl without times and speeds."""
    clock = ("time", "seconds", "examples_per_second")
    rows = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in clock} for row in rows]


def assert_same_run(found, expected):
    assert digest(found) == digest(expected)
    assert lines(found) == lines(expected)
    for split in ("validation", "test"):
        assert found.read_summary()[split] == expected.read_summary()[split]


@pytest.fixture(scope="module")
def four_epochs(tiny, tmp_path_factory):
    return tfdl.train(tiny(epochs=4), tmp_path_factory.mktemp("four") / "run")


def test_the_same_seed_repeats_the_run(trained_run, tiny, tmp_path):
    assert_same_run(tfdl.train(tiny(), tmp_path / "again"), trained_run)


def test_another_seed_is_another_run(trained_run, tiny, tmp_path):
    assert digest(tfdl.train(tiny(seed=1), tmp_path / "other")) != digest(trained_run)


def test_its_own_configuration_repeats_the_run(trained_run, tmp_path):
    assert_same_run(tfdl.train(trained_run.read_config(), tmp_path / "again"), trained_run)


def test_it_learns(tiny, tmp_path):
    config = tiny({"model.filters": [16], "model.units": 32, "optimizer.learning_rate": 0.01}, epochs=6)
    run = tfdl.train(config, tmp_path / "run")
    assert run.read_summary()["test"]["accuracy"] > 0.85
    losses = [row["train"]["loss"] for row in lines(run) if row["kind"] == "epoch"]
    assert losses == sorted(losses, reverse=True)


def test_steps_per_execution_change_no_weight(trained_run, tiny, tmp_path, caplog):
    run = tfdl.train(tiny(steps_per_execution=7), tmp_path / "run")
    assert digest(run) == digest(trained_run)
    # AutoGraph, which takes half of a start, is not used.
    assert "AutoGraph" not in caplog.text


def test_reading_from_disk_does_not_matter(tiny, tmp_path):
    runs = [tfdl.train(tiny({"dataset.memory_limit_mb": limit}, steps=3), tmp_path / str(limit)) for limit in (0, 9)]
    assert digest(runs[0]) == digest(runs[1])


def test_the_best_checkpoint_is_the_best_validation(four_epochs):
    epochs = [row for row in lines(four_epochs) if row["kind"] == "epoch"]
    best = max(epochs, key=lambda row: row["validation"]["accuracy"])
    assert four_epochs.checkpoint("best").resolve().name == f"step-{best['step']:08d}"
    assert tfdl.evaluate(four_epochs, "validation", "best") == best["validation"]


def test_old_checkpoints_are_removed(tiny, tmp_path):
    run = tfdl.train(tiny(epochs=4, keep_checkpoints=1), tmp_path / "run")
    names = {path.name for path in run.checkpoints.glob("step-*")}
    assert names == {"step-00000048", run.checkpoint("best").resolve().name}


# Resuming


def test_two_epochs_and_two_more_are_four(trained_run, four_epochs, tiny, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    assert_same_run(tfdl.train(tiny(epochs=4), copy, resume=True), four_epochs)


@pytest.mark.parametrize("stop", [12, 17])  # at the end of the first epoch, within the second
def test_a_run_of_steps_continues_within_an_epoch(trained_run, tiny, tmp_path, stop):
    part = tfdl.train(tiny(steps=stop), tmp_path / "run")
    assert part.read_summary()["steps"] == stop
    resumed = tfdl.train(tiny(), part.path, resume=True)
    assert digest(resumed) == digest(trained_run)
    assert resumed.read_summary()["test"] == trained_run.read_summary()["test"]
    epochs = [row for row in lines(resumed) if row["kind"] == "epoch" and row["step"] in (12, 24)]
    expected = [row for row in lines(trained_run) if row["kind"] == "epoch"]
    assert [row["validation"] for row in epochs] == [row["validation"] for row in expected]
    assert epochs[-1]["train"]["loss"] == pytest.approx(expected[-1]["train"]["loss"], rel=1e-12)


def test_a_run_that_is_resumed_several_times(four_epochs, tiny, tmp_path):
    for epochs in (1, 2, 3, 4):
        run = tfdl.train(tiny(epochs=epochs), tmp_path / "run", resume=True)
    assert_same_run(run, four_epochs)


def test_resuming_without_a_configuration_takes_the_run_s(trained_run, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    assert_same_run(tfdl.train(None, copy, resume=True), trained_run)


def test_resuming_where_nothing_is_starts_fresh(trained_run, tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    assert_same_run(tfdl.train(tiny(), tmp_path / "empty", resume=True), trained_run)


def test_resuming_a_run_that_failed_before_its_first_checkpoint(trained_run, tiny, tmp_path):
    class Fail(Callback):
        def on_steps(self, report):
            raise RunError(f"at step {report.progress.step}")

    with pytest.raises(RunError, match="at step 5"):
        tfdl.train(tiny(), tmp_path / "run", callbacks=[Fail()])
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status == {"code": 1, "reason": "at step 5"}
    assert_same_run(tfdl.train(tiny(), tmp_path / "run", resume=True), trained_run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seed": 1},
            r"--resume with seed=1, but the run has 0 \(only epochs, steps, time_limit and checkpoints may change\)",
        ),
        ({"batch_size": 64}, r"--resume with batch_size=64, but the run has 128"),
        ({"model.units": 9}, r"--resume with model\.units=9, but the run has 8"),
        ({"optimizer": "sgd"}, r"--resume with optimizer\.name='sgd', but the run has 'adam'"),
        ({"epochs": 1}, r"--resume with epochs=1, but the run has done 2 already; give more epochs"),
        ({"epochs": None, "steps": 20}, r"--resume with steps=20, but the run has done 24 already; give more steps"),
    ],
)
def test_a_resumed_run_is_the_same_run(trained_run, tiny, tmp_path, changes, message):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message):
        tfdl.train(tiny(changes), copy, resume=True)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


# Where a run is written


def test_overwriting_leaves_foreign_files_alone(trained_run, tiny, tmp_path):
    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    (copy / "notes.txt").write_text("mine")
    run = tfdl.train(tiny(steps=2, seed=5), copy, overwrite=True)
    assert (copy / "notes.txt").read_text() == "mine"
    assert run.read_summary()["steps"] == 2
    assert [path.name for path in run.checkpoints.glob("step-*")] == ["step-00000002"]
    assert [row["step"] for row in lines(run)] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"already contains a run; continue it \(--resume, in Python resume=True\), replace it \(--overwrite, "),
        ({"resume": True, "overwrite": True}, "--resume and --overwrite, pass one of them, not both"),
    ],
)
def test_a_run_is_not_replaced_without_overwrite(trained_run, tiny, arguments, message):
    with pytest.raises(UserError, match=message):
        tfdl.train(tiny(), trained_run.path, **arguments)


@pytest.mark.parametrize("arguments", [{}, {"resume": True}, {"overwrite": True}])
def test_foreign_folders_are_not_touched(tiny, tmp_path, arguments):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty and contains no run; choose a new or empty directory"):
        tfdl.train(tiny(), tmp_path, **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_without_output_gets_a_name(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tfdl.train(tiny(steps=1))
    assert run.path.parts[0] == "runs"
    assert run.path.name.startswith("cnn-digits-20")


# Failures


def test_a_loss_that_is_nan_or_infinite_ends_the_run_with_advice(tiny, tmp_path):
    with pytest.raises(RunError, match=r"step \d+ was not made: the loss of .* is NaN or inf.*; train again"):
        tfdl.train(tiny({"optimizer.learning_rate": 1e38}), tmp_path / "run")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["code"] == 1
    assert "clip_norm" in status["reason"]


def test_a_batch_larger_than_the_data_writes_nothing(tiny, tmp_path):
    with pytest.raises(UserError, match="batch_size=2000, but 'digits' has 1437 training samples; expected at most"):
        tfdl.train(tiny(batch_size=2000), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_few_samples_for_all_batches_of_a_step(tiny, tmp_path):
    with pytest.raises(UserError, match="1437 training samples; expected at least 2000, one for each rank and each"):
        tfdl.train(tiny(batch_size=1, accumulation_steps=2000), tmp_path / "run")


def test_a_resume_of_nothing_is_reported(tiny, tmp_path):
    notes = []

    class Watch(Callback):
        def on_start(self, plan):
            notes.extend(plan.notes)

    tfdl.train(tiny(epochs=None, steps=1), tmp_path / "run", resume=True, callbacks=[Watch()])
    assert f"--resume: {tmp_path / 'run'} contains no run yet, so a new one begins" in notes


def test_callbacks_see_the_run(tiny, tmp_path):
    seen = []

    class Watch(Callback):
        def on_start(self, plan):
            seen.append(("start", plan.steps_per_epoch, plan.total_steps, plan.resumed_from))

        def on_steps(self, report):
            seen.append(("steps", report.progress.step))

        def on_epoch(self, report):
            seen.append(("epoch", report.progress.epoch))

        def on_end(self, summary):
            seen.append(("end", summary["steps"]))

        def close(self):
            seen.append("close")

    tfdl.train(tiny(epochs=1), tmp_path / "run", callbacks=[Watch()])
    steps = [("steps", 5), ("steps", 10), ("steps", 12)]
    assert seen == [("start", 12, 12, 0), *steps, ("epoch", 1), ("end", 12), "close"]


def test_a_validation_loss_that_is_nan_or_infinite_ends_the_run(tiny, tmp_path):
    """The training loss of the only step is finite; the validation loss after it is not."""
    config = tiny({"model.filters": [4, 4], "optimizer": "sgd", "optimizer.learning_rate": 1e30}, steps=1)
    with pytest.raises(RunError, match=r"the validation loss is (nan|inf) at step 1"):
        tfdl.train(config, tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()


def test_resuming_without_the_links_keeps_every_checkpoint(tiny, tmp_path):
    """Archives and object stores do not keep links."""
    run = tfdl.train(tiny(epochs=1), tmp_path / "run")
    (saved,) = run.checkpoints.glob("step-*")
    for link in ("last", "best"):
        (run.checkpoints / link).unlink()
    tfdl.train(tiny(epochs=2), run.path, resume=True)
    assert saved.is_dir()
    straight = tfdl.train(tiny(epochs=2), tmp_path / "straight")
    assert run.read_summary()["weights_sha256"] == straight.read_summary()["weights_sha256"]


def test_the_time_limit_of_a_graph_call_changes_no_weight(tiny, tmp_path, monkeypatch):
    """Slow steps run in smaller portions, so that a stop request is noticed in time."""
    whole = tfdl.train(tiny(), tmp_path / "whole")
    monkeypatch.setattr("tfdl.training.fit._LONGEST_EXECUTION_SECONDS", 1e-9)
    single = tfdl.train(tiny(), tmp_path / "single")
    assert single.read_summary()["weights_sha256"] == whole.read_summary()["weights_sha256"]
    reports = [len(run.metrics_path.read_text().splitlines()) for run in (whole, single)]
    assert reports[1] > reports[0]


def test_the_summary_s_validation_is_of_the_final_weights(tiny, tmp_path):
    run = tfdl.train(tiny(epochs=1), tmp_path / "run")
    steps = run.read_summary()["steps"]
    tfdl.train(tiny(epochs=None, steps=steps + 1), run.path, resume=True)
    assert run.read_summary()["validation"] == tfdl.evaluate(run, "validation")


@pytest.mark.parametrize("given", ["cnn", {"model": "cnn"}])
def test_what_is_no_configuration_is_refused(tmp_path, given):
    kind = type(given).__name__
    with pytest.raises(UserError, match=rf"the configuration is a {kind}, expected a TrainConfig, .* passed as model="):
        tfdl.train(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()
