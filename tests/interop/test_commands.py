"""``tfdl import`` and ``tfdl export --format huggingface``: what they print, exit codes, and the run that they make."""

import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tests.interop import published
from tests.interop.published import POSITIONS
from tfdl.errors import UserError
from tfdl.interop import import_model
from tfdl.runs import load_run, weights_sha256
from tfdl.training.output import claim_output

OFFLINE = {"HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small GPT-2 with a byte-level tokenizer."""
    folder = tmp_path_factory.mktemp("gpt2")
    return published.save_language_model(
        folder / "files", published.gpt2(), published.byte_level(), eos_token="<|endoftext|>"
    )


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    return import_model(files, tmp_path_factory.mktemp("imported") / "run").run


def test_the_commands(files, tfdl_command, tmp_path):
    run = tmp_path / "run"
    done = tfdl_command("import", files, run, env=OFFLINE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{run}: gpt2, 39,040 parameters, language-modeling"
    assert lines[1] == "  tokenizer gpt2; exports take texts"
    assert lines[2:] == [
        "Next:",
        f"  tfdl generate {run} --prompt TEXT",
        f"  tfdl train --initial-checkpoint {run} --dataset NAME   # fine-tune it",
        f"  tfdl export {run} DIRECTORY",
    ]
    again = tfdl_command("import", files, run, env=OFFLINE)
    assert again.returncode == 2
    assert again.stderr == f"tfdl: error: '{run}' is not empty, expected a new or empty folder\n"
    back = tfdl_command("export", run, tmp_path / "back", "--format", "huggingface")
    assert back.returncode == 0, back.stderr
    lines = back.stdout.splitlines()
    parity = re.fullmatch(r"parity: largest difference (\S+) over 4 samples, (.*)", lines.pop(1))
    assert float(parity[1]) < 1e-5
    assert parity[2] == "loaded by transformers without tfdl and Horovod, and by tfdl's own importer"
    assert lines == [
        f"GPT2LMHeadModel {tmp_path / 'back'}: config.json, model.safetensors, tokenizer.json, tokenizer_config.json",
        f"load it with transformers.AutoModelForCausalLM.from_pretrained('{tmp_path / 'back'}')",
    ]


def test_a_name_in_the_cache_of_the_hub(files, tfdl_command, tmp_path):
    """Without a network. The hub's cache has links in the folder of a model."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = tmp_path / "cache" / "models--someone--small"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    (model / "blobs").mkdir()
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in files.iterdir():
        shutil.copy(path, model / "blobs")
        (snapshot / path.name).symlink_to(model / "blobs" / path.name)
    environment = {**OFFLINE, "HF_HUB_CACHE": str(tmp_path / "cache")}
    done = tfdl_command("import", "someone/small", tmp_path / "run", "--revision", "main", env=environment)
    assert done.returncode == 0, done.stderr
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["reason"] == "imported from someone/small at main"


def test_a_name_that_is_not_in_the_cache(tfdl_command, tmp_path):
    done = tfdl_command("import", "nobody/nothing", tmp_path / "run", env=OFFLINE)
    assert done.returncode == 1
    assert done.stderr.startswith("tfdl: error: no folder 'nobody/nothing', and the hub cannot be reached")
    assert done.stderr.count("\n") == 1


def test_the_files_of_the_run(run, files):
    status = json.loads(run.status_path.read_text())
    assert status == {"code": 0, "reason": f"imported from {files}"}
    summary = run.read_summary()
    loaded = load_run(run)
    assert summary["weights_sha256"] == weights_sha256(loaded.model)
    assert (summary["parameters"], summary["steps"], summary["test"]) == (loaded.model.count_params(), 0, {})
    assert run.checkpoint().resolve().name == "step-00000000"
    assert run.is_imported()
    assert loaded.config.tokenizer.folder == str(files)


def test_it_cannot_be_resumed(run):
    with pytest.raises(UserError, match=r"was imported, so there is no training to continue; .* --initial-checkpoint"):
        claim_output(run.path, None, resume=True, overwrite=False)


def test_it_is_evaluated_on_any_text(files, tmp_path):
    """Perplexity in windows, as of a model that tfdl trained."""
    text = tmp_path / "text"
    text.mkdir()
    for split in ("train", "validation", "test"):
        (text / f"{split}.txt").write_text("hello hello world worlds\n" * 40)
    run = import_model(files, tmp_path / "run", dataset=str(text), sequence_length=16).run
    metrics = tfdl.evaluate(run)
    loaded = load_run(run)
    tokenizer = loaded.task.tokenizer
    tokens = np.array([tokenizer.end_id, *tokenizer.encode((text / "test.txt").read_text()), tokenizer.end_id])
    losses = []
    for start in range(0, len(tokens) - 1, 16):
        window = tokens[start : start + 17]
        logits = loaded.model(window[np.newaxis, :-1])[0]
        losses += tf.nn.sparse_softmax_cross_entropy_with_logits(window[1:], logits).numpy().tolist()
    assert metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_longer_samples_than_positions(files, tmp_path):
    with pytest.raises(UserError, match=f"at most the model's {POSITIONS} learned positions"):
        import_model(files, tmp_path / "run", sequence_length=POSITIONS + 1)


def test_a_saved_model_of_token_numbers(tmp_path):
    """For a tokenizer that a graph cannot compute."""
    tokenizer = published.like_llama3()
    model = published.llama(vocab_size=tokenizer.get_vocab_size())
    ends = {"bos_token": "<|im_start|>", "eos_token": "<|endoftext|>"}
    files = published.save_language_model(tmp_path / "files", model, tokenizer, **ends)
    run = import_model(files, tmp_path / "run").run
    exported = tfdl.export_saved_model(run, tmp_path / "exported")
    (note,) = exported.notes
    assert note.startswith("texts are token numbers, since TensorFlow has no operations that compute the tokenizer")
    assert exported.inputs == {"token_ids": ("int32", "(any, any)")}
    assert set(exported.outputs) == {"tokens", "log_probability", "perplexity", "next_id", "next_probability"}
    assert exported.largest_difference < 1e-4
    task = load_run(run).task
    assert task.begin_id == task.tokenizer.start_id != task.tokenizer.end_id
    ids = task.tokenizer.encode("hello world")
    served = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    answers = served(token_ids=tf.constant([[*ids, -1, -1], [*ids, ids[0], ids[1]]]))
    alone = served(token_ids=tf.constant([ids]))
    assert answers["tokens"].numpy().tolist() == [len(ids), len(ids) + 2]
    np.testing.assert_allclose(answers["log_probability"][:1], alone["log_probability"], rtol=1e-5)
    with published.torch.no_grad():
        begun = published.torch.tensor([[task.tokenizer.start_id, *ids]])
        logits = model(begun).logits[0]
    probabilities = logits.softmax(-1).numpy()
    assert answers["next_id"].numpy()[0].tolist() == (-probabilities[-1]).argsort()[:5].tolist()
    expected = sum(np.log(probabilities[position, token]) for position, token in enumerate(ids))
    assert float(alone["log_probability"][0]) == pytest.approx(expected, rel=1e-4)
