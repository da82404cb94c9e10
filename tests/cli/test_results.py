"""What train, evaluate and export print equals what is in the files."""

import json
import shutil

import pytest

from tests.cli.conftest import TINY
from tfdl.config import EXPORT_FORMATS


def test_train_prints_its_results(run_here, tmp_path):
    code, out, err = run_here("train", *TINY, "--epochs", 1, "--output", tmp_path / "run")
    assert (code, err) == (0, "")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "1 rank, batch 128 a rank (128 a step), 12 steps an epoch" in out
    assert f"{summary['parameters']:,} parameters" in out
    assert "epoch 1/1  loss " in out
    assert f"weights {summary['weights_sha256'][:12]}" in out
    assert f"tfdl evaluate {tmp_path / 'run'}" in out
    assert "\x1b" not in out
    assert json.loads((tmp_path / "run" / "status.json").read_text()) == {"code": 0, "reason": "done"}


@pytest.mark.parametrize("split", ["test", "validation"])
def test_evaluate_prints_the_results_of_the_summary(run_here, trained_run, split):
    code, out, err = run_here("evaluate", trained_run.path, "--split", split, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == trained_run.read_summary()[split]


def test_evaluate_for_people(run_here, trained_run):
    _, out, _ = run_here("evaluate", trained_run.path)
    lines = out.splitlines()
    assert lines[0] == f"{trained_run.path}, test split, checkpoint last"
    assert lines[2].split() == ["accuracy", f"{trained_run.read_summary()['test']['accuracy']:.6g}"]


def test_evaluate_compares_runs(run_here, trained_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(trained_run.path, other, symlinks=True)
    code, out, err = run_here("evaluate", trained_run.path, other)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "test split, checkpoint last"
    assert lines[1] == f"{trained_run.path}: cnn on digits, image-classification"
    assert lines[4].split() == ["metric", str(trained_run.path), str(other)]
    accuracy = f"{trained_run.read_summary()['test']['accuracy']:.6g}"
    assert ["accuracy", accuracy, accuracy] in [line.split() for line in lines]
    _, out, _ = run_here("evaluate", trained_run.path, other, "--json")
    assert json.loads(out) == [
        {"run": str(path), **trained_run.read_summary()["test"]} for path in (trained_run.path, other)
    ]


def test_evaluate_shows_each_class(run_here, trained_run):
    _, out, _ = run_here("evaluate", trained_run.path)
    metrics, classes, confusion = [part.splitlines() for part in out.split("\n\n")]
    assert [line.split()[0] for line in metrics[1:]] == list(trained_run.read_summary()["test"])
    assert classes[0].split() == ["class", "precision", "recall", "f1", "support"]
    assert sum(int(line.split()[-1]) for line in classes[1:]) == 180
    assert confusion[0].split() == ["label", "\\", "predicted", *"0123456789"]
    counts = [[int(cell.replace(".", "0")) for cell in line.split()[1:]] for line in confusion[1:]]
    assert sum(map(sum, counts)) == 180
    num_correct = sum(counts[number][number] for number in range(10))
    assert num_correct / 180 == trained_run.read_summary()["test"]["accuracy"]


def test_evaluate_prints_details_as_json(run_here, trained_run):
    _, out, _ = run_here("evaluate", trained_run.path, "--json", "--details")
    found = json.loads(out)
    assert len(found["classes"]) == len(found["confusion_matrix"]) == 10
    assert found["classes"]["0"]["support"] == sum(found["confusion_matrix"][0])
    assert trained_run.read_summary()["test"].items() <= found.items()


def test_export_prints_what_it_wrote(run_here, trained_run, tmp_path):
    code, out, err = run_here("export", trained_run.path, tmp_path / "out")
    assert (code, err) == (0, "")
    answers = [
        "    returns  probabilities: float32 (any, 10)",
        "    returns  class_id: int32 (any)",
        "    returns  class_name: string (any)",
    ]
    size = sum(path.stat().st_size for path in (tmp_path / "out" / "1").rglob("*") if path.is_file())
    assert out.splitlines()[:-3] == [
        f"SavedModel {tmp_path / 'out' / '1'} ({size / 1024:.1f} KiB)",
        "  serving_default",
        "    takes    image: uint8 (any, any, any, 1)",
        *answers,
        "  encoded",
        "    takes    image_bytes: string (any)",
        *answers,
        "  examples",
        "    takes    examples: string (any)",
        *answers,
        "  classify",
        "    takes    inputs: string (any)",
        "    returns  classes: string (any, 10)",
        "    returns  scores: float32 (any, 10)",
    ]
    assert "over 256 samples of 4 signatures, loaded without tfdl and Horovod" in out
    assert out.endswith(f"Next:\n  tfdl serve {tmp_path / 'out'}\n")
    assert (tmp_path / "out" / "1" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_paths_of_exports_are_relative_where_the_command_runs(run_here, trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, saved_model, _ = run_here("export", trained_run.path, "exported/a b")
    assert saved_model.startswith("SavedModel exported/a b/1 (")
    assert saved_model.endswith("Next:\n  tfdl serve 'exported/a b'\n")
    _, keras, _ = run_here("export", trained_run.path, "exported/keras", "--format", "keras")
    assert keras.startswith("Keras model exported/keras (")
    assert keras.endswith("load it with keras.models.load_model('exported/keras/model.keras')\n")


@pytest.mark.parametrize("format_name", EXPORT_FORMATS.names)
def test_a_folder_that_is_not_free_is_refused_before_tensorflow_is_imported(
    run_here, trained_run, tmp_path, monkeypatch, format_name
):
    def imported():
        raise AssertionError("TensorFlow would be imported")

    monkeypatch.setattr("tfdl.cli.quiet.quick_start", imported)
    (tmp_path / "file").write_text("mine")
    for arguments in ((), ("--overwrite",)):
        code, out, err = run_here("export", trained_run.path, tmp_path / "file", "--format", format_name, *arguments)
        assert (code, out) == (2, "")
        assert f"error: '{tmp_path / 'file'}' is " in err
    code, _, err = run_here("export", trained_run.path, tmp_path / "free", "--format", format_name)
    assert (code, "TensorFlow would be imported" in err) == (1, True)  # the control
