"""The commands: help without TensorFlow, configuration in and out, results that equal the files', exit codes."""

import json
import os
import resource
import shutil
import subprocess
import sys

import click
import pytest
import tensorflow as tf
import yaml

from tfdl.cli.failures import exit_code_of, report_failure
from tfdl.cli.main import COMMANDS, main
from tfdl.errors import RunError, StoppedError, UserError

TINY = ["--set", "model.filters=[4]", "--set", "model.units=8", "--image-size", "8", "--batch-size", "128"]


@pytest.fixture
def run(capfd):
    """Exit code, standard output and standard error of a command in this process."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return (ended.value.code, *capfd.readouterr())

    return call


HELP = """\
import sys
from tfdl.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    heavy = {"tensorflow", "keras", "numpy", "horovod", "tensorflow_datasets", "sklearn"} & set(sys.modules)
    sys.exit(f"imported {heavy}" if heavy else ended.code)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], [], *([name, "--help"] for name in COMMANDS)], ids=str
)
def test_help_imports_nothing_heavy(arguments):
    done = subprocess.run([sys.executable, "-c", HELP, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if arguments else 2), done.stderr


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_has_examples(run, command):
    code, out, err = run(*command, "--help")
    assert (code, err) == (0, "")
    examples = out.split("Examples:\n")[1].splitlines()
    assert any(line.strip().startswith(("tfdl ", "eval ")) for line in examples)


def test_help_lists_every_command(run):
    _, out, _ = run("--help")
    for name, line in COMMANDS.items():
        assert f"{name} " in out
        assert line.split()[0] in out


def test_the_version(run):
    import tfdl

    assert run("--version") == (0, f"tfdl, version {tfdl.__version__}\n", "")


def test_python_m_tfdl_is_the_command():
    done = subprocess.run([sys.executable, "-m", "tfdl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tfdl, version ")


# Configuration


def test_a_file_s_plugin_without_brackets_is_one_name(run, tmp_path):
    (tmp_path / "c.yaml").write_text("plugins: json\n")
    _, out, _ = run("train", "--config", tmp_path / "c.yaml", "--plugin", "string", "--print-config")
    assert yaml.safe_load(out)["plugins"] == ["json", "string"]


def test_print_config_feeds_back(run, tmp_path):
    changes = ["--optimizer", "sgd", "--learning-rate", "0.5", "--image-size", "9x7", "--steps", "3"]
    code, first, err = run("train", *changes, "--set", "model.filters=[3]", "--print-config")
    assert (code, err) == (0, "")
    (tmp_path / "my.yaml").write_text(first)
    assert run("train", "--config", tmp_path / "my.yaml", "--print-config") == (0, first, "")
    values = yaml.safe_load(first)
    assert (values["steps"], values["epochs"]) == (3, None)
    assert values["optimizer"]["learning_rate"] == 0.5
    assert values["dataset"]["image_size"] == [9, 7]
    assert values["model"]["filters"] == [3]


def test_options_win_over_set_and_set_over_the_file(run, tmp_path):
    (tmp_path / "c.yaml").write_text("{epochs: 1, seed: 1, batch_size: 1, optimizer: {name: sgd, momentum: 0.5}}")
    _, out, _ = run(
        "train", "--config", tmp_path / "c.yaml", "--set", "seed=2", "--set", "batch_size=2", "--batch-size", 3,
        "--learning-rate", 0.25, "--print-config",
    )  # fmt: skip
    values = yaml.safe_load(out)
    assert (values["epochs"], values["seed"], values["batch_size"]) == (1, 2, 3)
    assert (values["optimizer"]["momentum"], values["optimizer"]["learning_rate"]) == (0.5, 0.25)


def test_another_optimizer_drops_the_old_one_s_fields(run, tmp_path):
    (tmp_path / "c.yaml").write_text("optimizer: {name: adam, learning_rate: 0.7}")
    _, out, _ = run("train", "--config", tmp_path / "c.yaml", "--optimizer", "sgd", "--print-config")
    assert yaml.safe_load(out)["optimizer"]["learning_rate"] == 0.01


def test_one_length_replaces_the_other(run, tmp_path):
    (tmp_path / "c.yaml").write_text("epochs: 5")
    _, out, _ = run("train", "--config", tmp_path / "c.yaml", "--steps", 7, "--print-config")
    values = yaml.safe_load(out)
    assert (values["epochs"], values["steps"]) == (None, 7)


# Results


def test_train_prints_its_results(run, tmp_path):
    code, out, err = run("train", *TINY, "--epochs", 1, "--output", tmp_path / "run")
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
def test_evaluate_prints_the_results_of_the_summary(run, trained_run, split):
    code, out, err = run("evaluate", trained_run.path, "--split", split, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == trained_run.read_summary()[split]


def test_evaluate_for_people(run, trained_run):
    _, out, _ = run("evaluate", trained_run.path)
    lines = out.splitlines()
    assert lines[0] == f"{trained_run.path}, test split, checkpoint last"
    assert lines[2].split() == ["accuracy", f"{trained_run.read_summary()['test']['accuracy']:.6g}"]


def test_evaluate_compares_runs(run, trained_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(trained_run.path, other, symlinks=True)
    code, out, err = run("evaluate", trained_run.path, other)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "test split, checkpoint last"
    assert lines[1] == f"{trained_run.path}: cnn on digits, image-classification"
    assert lines[4].split() == ["metric", str(trained_run.path), str(other)]
    accuracy = f"{trained_run.read_summary()['test']['accuracy']:.6g}"
    assert ["accuracy", accuracy, accuracy] in [line.split() for line in lines]
    _, out, _ = run("evaluate", trained_run.path, other, "--json")
    assert json.loads(out) == [
        {"run": str(path), **trained_run.read_summary()["test"]} for path in (trained_run.path, other)
    ]


def test_evaluate_shows_each_class(run, trained_run):
    _, out, _ = run("evaluate", trained_run.path)
    metrics, classes, confusion = [part.splitlines() for part in out.split("\n\n")]
    assert [line.split()[0] for line in metrics[1:]] == list(trained_run.read_summary()["test"])
    assert classes[0].split() == ["class", "precision", "recall", "f1", "support"]
    assert sum(int(line.split()[-1]) for line in classes[1:]) == 180
    assert confusion[0].split() == ["label", "\\", "predicted", *"0123456789"]
    counts = [[int(cell.replace(".", "0")) for cell in line.split()[1:]] for line in confusion[1:]]
    assert sum(map(sum, counts)) == 180
    num_correct = sum(counts[number][number] for number in range(10))
    assert num_correct / 180 == trained_run.read_summary()["test"]["accuracy"]


def test_evaluate_prints_details_as_json(run, trained_run):
    _, out, _ = run("evaluate", trained_run.path, "--json", "--details")
    found = json.loads(out)
    assert len(found["classes"]) == len(found["confusion_matrix"]) == 10
    assert found["classes"]["0"]["support"] == sum(found["confusion_matrix"][0])
    assert trained_run.read_summary()["test"].items() <= found.items()


def test_export_prints_what_it_wrote(run, trained_run, tmp_path):
    code, out, err = run("export", trained_run.path, tmp_path / "out")
    assert (code, err) == (0, "")
    answers = [
        "    returns  probabilities: float32 (any, 10)",
        "    returns  class_id: int32 (any)",
        "    returns  class_name: string (any)",
    ]
    assert out.splitlines()[:-1] == [
        f"SavedModel {tmp_path / 'out' / '1'}",
        "  serving_default",
        "    takes    image: uint8 (any, any, any, 1)",
        *answers,
        "  encoded",
        "    takes    image_bytes: string (any)",
        *answers,
        "  examples",
        "    takes    examples: string (any)",
        *answers,
    ]
    assert "over 64 samples, loaded without tfdl and Horovod" in out
    assert (tmp_path / "out" / "1" / "saved_model.pb").is_file()


def test_a_run_whose_output_is_closed_records_why(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    small = ["--set", "model.filters=[4]", "--steps", 2]
    done = subprocess.run(
        [sys.executable, "-m", "tfdl", "train", *map(str, small), "--output", str(tmp_path / "run")],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 1
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status == {"code": 1, "reason": "nobody reads the output any more (broken pipe)"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run, shell):
    code, out, err = run("completion", shell)
    assert (code, err) == (0, "")
    assert "_TFDL_COMPLETE" in out


def test_the_shell_completes_names():
    def complete(words):
        env = {**os.environ, "_TFDL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "3"}
        program = "from tfdl.cli.main import main; main()"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False)
        return [line.split(",")[1] for line in done.stdout.splitlines()]

    assert complete("tfdl train --optimizer s") == ["sgd"]
    assert {"digits", "dates", "mnist", "wmt14_translate/de-en"} <= set(complete("tfdl train --dataset "))
    assert complete("tfdl train --dataset fash") == ["fashion_mnist"]
    assert complete("tfdl datasets show cifar1") == ["cifar10", "cifar100"]


# Exit codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (click.UsageError("x"), 2),
        (click.BadParameter("x"), 2),
        (RunError("x"), 1),
        (OSError(28, "No space left on device"), 1),
        (ValueError("x"), 1),
        (KeyboardInterrupt(), 1),
        (StoppedError("x"), 75),
        (SystemExit(7), 7),
        (SystemExit("text"), 1),
        (click.exceptions.Exit(0), 0),
    ],
    ids=repr,
)
def test_exit_code(error, code):
    assert exit_code_of(error) == code


def test_a_damaged_checkpoint_is_exit_1(run, trained_run, tmp_path):
    import shutil

    copy = shutil.copytree(trained_run.path, tmp_path / "copy", symlinks=True)
    (copy / "checkpoints" / "last" / "model.safetensors").write_bytes(b"")
    code, out, err = run("evaluate", copy)
    assert (code, out) == (1, "")
    assert err.startswith("tfdl: error: checkpoint ")
    assert "is damaged: model.safetensors differs from its manifest" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("trained_run")  # so the data are prepared
def test_a_full_disk_is_exit_1_and_is_reported(tfdl_command, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = tfdl_command("train", "--epochs", 1, "--output", tmp_path / "run", preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.startswith("tfdl: error: ")
    line, advice = done.stderr.splitlines()
    assert line.endswith("File too large; make room, or choose another --output")
    run = tmp_path / "run"
    assert advice == f"tfdl: no checkpoint was saved; begin again with --output {run} --overwrite"


def test_a_full_disk_while_texts_are_tokenized_names_the_folder(tfdl_command, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    (tmp_path / "text.txt").write_text("\n\n".join(f"text {number}" for number in range(10_000)))
    done = tfdl_command(
        "train", "--task", "language-modeling", "--dataset", tmp_path / "text.txt", "--tokenizer", "byte",
        "--data-dir", tmp_path / "data", "--output", tmp_path / "run", preexec_fn=limit,
    )  # fmt: skip
    folder = tmp_path / "data" / "tfdl-tokens"
    assert done.returncode == 1
    assert done.stderr == (
        f"tfdl: error: cannot keep tokens in '{folder}': File too large; make room there, or choose another folder"
        " with --data-dir\n"
    )
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    assert not (tmp_path / "run").exists()


def test_a_run_from_disk_ends_without_noise(tfdl_command, tmp_path):
    done = tfdl_command(
        "train", *TINY, "--steps", 2, "--set", "dataset.memory_limit_mb=0", "--output", tmp_path / "run"
    )
    assert (done.returncode, done.stderr) == (0, "")


# doctor


def test_doctor_finds_this_machine_fit(run, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    for subject in ("Python", "tensorflow", "keras", "GPUs", "data directory", "working directory"):
        assert any(line[6:].startswith(subject) for line in out.splitlines()), subject


def test_doctor_refuses_another_backend(tfdl_command):
    done = tfdl_command("doctor", env={"KERAS_BACKEND": "torch"})
    assert done.returncode == 1
    assert "unset KERAS_BACKEND" in done.stdout
    assert "Traceback" not in done.stderr


def test_doctor_reports_a_host_that_does_not_resolve(run, tmp_path):
    (tmp_path / "hosts").write_text("no-such-host.invalid slots=2  # mine\n\n")
    code, out, _ = run("doctor", "--hostfile", tmp_path / "hosts")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "no-such-host.invalid" in line and "does not resolve" in line]
    assert "FAIL" in line


def test_doctor_reports_wrong_variables_of_a_launcher(run, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_SIZE", "none")
    code, out, _ = run("doctor")
    assert code == 1
    assert "HOROVOD_SIZE='none'" in out


def test_a_value_set_beside_a_new_name_is_kept(run, tmp_path):
    (tmp_path / "my.yaml").write_text("optimizer: {name: adam, learning_rate: 0.002}\n")
    for config in ([], ["--config", tmp_path / "my.yaml"]):
        code, text, _ = run(
            "train", *config, "--set", "optimizer.learning_rate=0.5", "--optimizer", "sgd", "--print-config"
        )
        assert code == 0
        optimizer = yaml.safe_load(text)["optimizer"]
        assert (optimizer["name"], optimizer["learning_rate"]) == ("sgd", 0.5)


@pytest.mark.parametrize("value", ["2020-99-99", "[" * 5000])
def test_a_value_that_yaml_cannot_parse(run, value):
    code, _, err = run("train", "--set", f"seed={value}")
    assert code == 2
    assert err.startswith("tfdl: error: --set seed is not valid YAML")
    assert err.count("\n") == 1


SEVERAL_ROOTS = """2 root error(s) found.
  (0) INTERNAL: {{function_node __inference_steps_1418}} Failed to call DoRnnForward with model config: 2, 0, 0
\t [[{{node rnn/lstm_1/CudnnRNN}}]]
\t [[ArgMax/_132]]
  (1) INTERNAL: {{function_node __inference_steps_1418}} Failed to call DoRnnForward with model config: 2, 0, 0
\t [[{{node rnn/lstm_1/CudnnRNN}}]]
0 successful operations.
0 derived errors ignored. [Op:__inference_steps_1418]"""


@pytest.mark.parametrize(
    "before", ["", 'Graph execution error:\n\nDetected at node A defined at:\n  File "a.py", line 1\n\n']
)
def test_the_line_of_a_graph_s_error_that_names_the_cause_is_printed(before, capsys):
    """TensorFlow's message when several operations failed for one reason; its last line counts errors."""
    report_failure(tf.errors.InternalError(None, None, before + SEVERAL_ROOTS), debug=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert "InternalError: INTERNAL: Failed to call DoRnnForward with model config: 2, 0, 0; run again" in line
