"""Text that others report numbers on; skipped where it is not there."""

from pathlib import Path

import pytest

import tfdl
from tfdl.config import compose

SHAKESPEARE = Path(__file__).parents[3] / "shared" / "data" / "tiny_shakespeare" / "input.txt"


@pytest.mark.slow
@pytest.mark.skipif(not SHAKESPEARE.exists(), reason=f"{SHAKESPEARE} is not here")
def test_shakespeare_s_characters_at_nano_gpt_s_size(tmp_path: Path) -> None:
    """nanoGPT's README has 1.88 for 4 layers of 128, a context of 64, and 2,000 batches of 12; see docs/tasks.md."""
    text = SHAKESPEARE.read_text(encoding="utf-8")
    folder, cut = tmp_path / "shakespeare", int(0.9 * len(text))
    folder.mkdir()
    (folder / "train.txt").write_text(text[:cut], encoding="utf-8")
    (folder / "validation.txt").write_text(text[cut:], encoding="utf-8")
    changes = {
        "model": "transformer",
        "dataset": str(folder),
        "tokenizer": "character",
        "batch_size": 12,
        "steps": 2000,
    }
    run = tfdl.train(compose(changes, {"optimizer.warmup_steps": 100}), tmp_path / "run")
    assert run.read_summary()["parameters"] == 810_368
    assert run.read_summary()["validation"]["loss"] < 1.88
