"""A text for which other projects report results. The test is skipped without it."""

from pathlib import Path

import pytest

import tfdl
from tfdl.config import compose

SHAKESPEARE = Path(__file__).parents[3] / "shared" / "data" / "tiny_shakespeare" / "input.txt"


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason=f"{SHAKESPEARE} is not here")
def test_shakespeare_s_characters_at_nano_gpt_s_size(tmp_path: Path) -> None:
    """nanoGPT's README has 1.88 for 4 layers of 128, a context of 64, and 2,000 batches of 12; see docs/tasks.md."""
    text = SHAKESPEARE.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    folder = tmp_path / "shakespeare"
    folder.mkdir()
    (folder / "train.txt").write_text(text[:cut], encoding="utf-8")
    (folder / "validation.txt").write_text(text[cut:], encoding="utf-8")
    settings = {
        "model": "transformer",
        "dataset": str(folder),
        "tokenizer": "character",
        "batch_size": 12,
        "steps": 2000,
    }
    run = tfdl.train(compose(settings, {"optimizer.warmup_steps": 100}), tmp_path / "run")
    summary = run.read_summary()
    assert summary["parameters"] == 810_368
    assert summary["validation"]["loss"] < 1.88
