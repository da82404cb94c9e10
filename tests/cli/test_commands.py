"""The commands: help without TensorFlow, configuration in and out, completion."""

import os
import subprocess
import sys

import pytest
import yaml

from tfdl.cli.main import COMMANDS

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
def test_help_has_examples(run_here, command):
    code, out, err = run_here(*command, "--help")
    assert (code, err) == (0, "")
    examples = out.split("Examples:\n")[1].splitlines()
    assert any(line.strip().startswith(("tfdl ", "eval ")) for line in examples)


def test_help_lists_every_command(run_here):
    _, out, _ = run_here("--help")
    for name, line in COMMANDS.items():
        assert f"{name} " in out
        assert line.split()[0] in out


def test_the_version(run_here):
    import tfdl

    assert run_here("--version") == (0, f"tfdl, version {tfdl.__version__}\n", "")


def test_python_m_tfdl_is_the_command():
    done = subprocess.run([sys.executable, "-m", "tfdl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tfdl, version ")


# Configuration


def test_a_file_s_plugin_without_brackets_is_one_name(run_here, tmp_path):
    (tmp_path / "c.yaml").write_text("plugins: json\n")
    _, out, _ = run_here("train", "--config", tmp_path / "c.yaml", "--plugin", "string", "--print-config")
    assert yaml.safe_load(out)["plugins"] == ["json", "string"]


def test_print_config_feeds_back(run_here, tmp_path):
    changes = ["--optimizer", "sgd", "--learning-rate", "0.5", "--image-size", "9x7", "--steps", "3"]
    code, first, err = run_here("train", *changes, "--set", "model.filters=[3]", "--print-config")
    assert (code, err) == (0, "")
    (tmp_path / "my.yaml").write_text(first)
    assert run_here("train", "--config", tmp_path / "my.yaml", "--print-config") == (0, first, "")
    values = yaml.safe_load(first)
    assert (values["steps"], values["epochs"]) == (3, None)
    assert values["optimizer"]["learning_rate"] == 0.5
    assert values["dataset"]["image_size"] == [9, 7]
    assert values["model"]["filters"] == [3]


def test_options_win_over_set_and_set_over_the_file(run_here, tmp_path):
    (tmp_path / "c.yaml").write_text("{epochs: 1, seed: 1, batch_size: 1, optimizer: {name: sgd, momentum: 0.5}}")
    _, out, _ = run_here(
        "train", "--config", tmp_path / "c.yaml", "--set", "seed=2", "--set", "batch_size=2", "--batch-size", 3,
        "--learning-rate", 0.25, "--print-config",
    )  # fmt: skip
    values = yaml.safe_load(out)
    assert (values["epochs"], values["seed"], values["batch_size"]) == (1, 2, 3)
    assert (values["optimizer"]["momentum"], values["optimizer"]["learning_rate"]) == (0.5, 0.25)


def test_another_optimizer_drops_the_old_one_s_fields(run_here, tmp_path):
    (tmp_path / "c.yaml").write_text("optimizer: {name: adam, learning_rate: 0.7}")
    _, out, _ = run_here("train", "--config", tmp_path / "c.yaml", "--optimizer", "sgd", "--print-config")
    assert yaml.safe_load(out)["optimizer"]["learning_rate"] == 0.01


def test_one_length_replaces_the_other(run_here, tmp_path):
    (tmp_path / "c.yaml").write_text("epochs: 5")
    _, out, _ = run_here("train", "--config", tmp_path / "c.yaml", "--steps", 7, "--print-config")
    values = yaml.safe_load(out)
    assert (values["epochs"], values["steps"]) == (None, 7)


def test_a_value_set_beside_a_new_name_is_kept(run_here, tmp_path):
    (tmp_path / "my.yaml").write_text("optimizer: {name: adam, learning_rate: 0.002}\n")
    for config in ([], ["--config", tmp_path / "my.yaml"]):
        code, text, _ = run_here(
            "train", *config, "--set", "optimizer.learning_rate=0.5", "--optimizer", "sgd", "--print-config"
        )
        assert code == 0
        optimizer = yaml.safe_load(text)["optimizer"]
        assert (optimizer["name"], optimizer["learning_rate"]) == ("sgd", 0.5)


@pytest.mark.parametrize("value", ["2020-99-99", "[" * 5000])
def test_a_value_that_yaml_cannot_parse(run_here, value):
    code, _, err = run_here("train", "--set", f"seed={value}")
    assert code == 2
    assert err.startswith("tfdl: error: --set seed is not valid YAML")
    assert err.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run_here, shell):
    code, out, err = run_here("completion", shell)
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
