"""Fine-tuning on two ranks: the weights of one process, and a base that stays as it is on both."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfdl
from tests.distributed.launching import launch
from tfdl.config import compose

pytestmark = [pytest.mark.distributed, pytest.mark.slow]

TEXTS = [f"{word} {number},{label}" for number in range(48) for label, word in (("a", "goal team"), ("b", "soup salt"))]
SETTINGS = {
    "model": "transformer", "model.hidden_dim": 16, "model.num_heads": 2, "model.num_layers": 1, "model.dropout": 0.0,
    "model.sequence_length": 16, "task": "text-classification", "tokenizer": "byte", "precision": "float64",
    "batch_size": 16, "steps": 4, "epochs": None,
    "optimizer": {"name": "adam", "schedule": "constant", "warmup_epochs": 0},
}  # fmt: skip


def test_two_ranks_train_the_updates_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.csv").write_text("\n".join(["text,label", *TEXTS]) + "\n")
    other_classes = [text.replace(",a", ",food") for text in TEXTS]
    (tmp_path / "new.csv").write_text("\n".join(["text,label", *other_classes]) + "\n")
    monkeypatch.chdir(tmp_path)
    base = tfdl.train(compose(SETTINGS, {"dataset.name": "./base.csv"}), "base")
    changes = {"initial_checkpoint": "base", "dataset.name": "./new.csv", "model.lora_rank": 2}
    recipe = {key: SETTINGS[key] for key in ("precision", "batch_size", "steps", "epochs", "optimizer")}
    alone = tfdl.train(compose(recipe, changes), "alone")
    options = [f"--set={key}={value}" for key, value in changes.items() if key != "initial_checkpoint"]
    constant = ["--optimizer", "adam", "--schedule", "constant", "--set", "optimizer.warmup_epochs=0"]
    job = launch(
        2, "tfdl", "train", "--initial-checkpoint", "base", *options, *constant, "--precision", "float64",
        "--batch-size", "8", "--steps", "4", "--output", "two",
    )  # fmt: skip
    assert job.code == 0, job.output
    assert job.output.count("new: logits/kernel, logits/bias, since the classes differ") == 1
    one = load_file(alone.checkpoint() / "model.safetensors")
    two = load_file(tmp_path / "two" / "checkpoints" / "last" / "model.safetensors")
    before = load_file(base.checkpoint() / "model.safetensors")
    assert one.keys() == two.keys()
    for name, value in two.items():
        np.testing.assert_allclose(value, one[name], rtol=0, atol=1e-9, err_msg=name)
        if name in before and not name.startswith("logits"):
            np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert any(np.any(value) for name, value in two.items() if name.endswith("lora_kernel_b"))
