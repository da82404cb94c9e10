"""What ``tfdl.export_huggingface`` writes gives the model's logits, by transformers and by tfdl's importer."""

import dataclasses

import numpy as np
import pytest

import tfdl
from tests.export.small_models import small_run
from tests.interop import published
from tfdl.config import ExportRequest
from tfdl.distributed import SingleWorld
from tfdl.distributed.world import set_current_world
from tfdl.errors import RunError, UserError
from tfdl.export.huggingface import comparison
from tfdl.export.huggingface.exporting import write_huggingface
from tfdl.export.huggingface.samples import as_transformers, network_samples
from tfdl.interop import import_model
from tfdl.interop.architectures import ARCHITECTURES, bert, gpt2, resnet, vit
from tfdl.interop.layouts import SAME, Layout
from tfdl.runs import load_run

BOTH = "loaded by transformers without tfdl and Horovod, and by tfdl's own importer"


def published_gpt2(folder):
    end = {"eos_token": "<|endoftext|>"}
    published.save_language_model(folder, published.gpt2(), published.byte_level(), **end)


def published_bert(folder):
    published.bert().save_pretrained(folder)
    published.save_wordpiece(folder)


def published_resnet(folder):
    published.resnet().save_pretrained(folder)
    published.write_preprocessor(folder, 32)


PUBLISHED = {
    "gpt2": published_gpt2,
    "bert": published_bert,
    "vit": lambda folder: published.vit().save_pretrained(folder),
    "resnet": published_resnet,
}


@pytest.fixture(scope="session")
def imported(tmp_path_factory):
    """``imported("gpt2")``: a run of a small model with random weights, made once."""
    runs = {}

    def make(name):
        if name not in runs:
            folder = tmp_path_factory.mktemp(name)
            PUBLISHED[name](folder / "files")
            runs[name] = import_model(folder / "files", folder / "run").run
        return runs[name]

    return make


def report_of(run, folder):
    lines = write_huggingface(ExportRequest(run.path, folder, "last", False, "float32")).lines
    (parity,) = [line for line in lines if line.startswith("parity: ")]
    return parity


@pytest.mark.parametrize(("name", "compared"), [("gpt2", 4), ("bert", 6), ("resnet", 4)])
def test_transformers_is_asked_in_a_clean_process(imported, name, compared, tmp_path):
    parity = report_of(imported(name), tmp_path / "out")
    start, asked = parity.split(" samples, ")
    assert asked == BOTH
    assert start.endswith(f" over {compared}")
    assert float(start.split()[3]) < 1e-5


def test_without_transformers_the_importer_is_asked(imported, tmp_path, monkeypatch):
    def no_process(*_, **__):
        raise AssertionError

    monkeypatch.setattr(comparison, "answers_in_clean_process", no_process)
    for missing, said in (
        ({"transformers"}, "transformers is"),
        ({"torch"}, "torch is"),
        ({"transformers", "torch"}, "transformers and torch are"),
    ):
        monkeypatch.setattr(comparison, "find_spec", lambda name, missing=missing: None if name in missing else name)
        parity = report_of(imported("gpt2"), tmp_path / "-".join(sorted(missing)))
        assert parity == (
            f"parity: largest difference 0 over 4 samples, read by tfdl's own importer, since {said} not installed"
        )


# A folder that does not give the model's answers


class Scrambled(Layout):
    """A layout that is written and read in two ways.

    Args:
        layout: by which it is read.
        changed: what is written in place of each tensor.
    """

    def __init__(self, layout, changed):
        self._layout = layout
        self._changed = changed

    def join(self, tensors):
        return self._layout.join(tensors)

    def split(self, value):
        return [self._changed(tensor) for tensor in self._layout.split(value)]


def break_rule(monkeypatch, module, name, variable, change):
    """Changes one rule of an architecture's table.

    Args:
        monkeypatch: pytest's.
        module: of the architecture.
        name: in ``ARCHITECTURES``.
        variable: of the rule.
        change: the rule's layout to another one.

    Returns:
        A list that will have the rule as it was, each time that it is used.
    """
    rules = module._rules
    broken_rules = []

    def broken(config):
        for rule in rules(config):
            is_chosen = rule.variable == variable
            broken_rules.extend([rule] * is_chosen)
            yield dataclasses.replace(rule, layout=change(rule.layout)) if is_chosen else rule

    monkeypatch.setitem(ARCHITECTURES, name, dataclasses.replace(ARCHITECTURES[name], rules=broken))
    return broken_rules


def assert_not_written(run, folder, message):
    with pytest.raises(RunError, match=message):
        tfdl.export_huggingface(run, folder / "new" / "out")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "module", "variable", "changed"),
    [
        ("gpt2", gpt2, "block_2/attention/output/kernel", lambda tensor: tensor.T.copy()),
        ("bert", bert, "segment_embedding/table", lambda tensor: tensor[::-1].copy()),
        ("vit", vit, "position_embedding/table", lambda tensor: tensor[:, ::-1].copy()),
        ("resnet", resnet, "stem_conv/kernel", lambda tensor: tensor[:, :, ::-1].copy()),
    ],
)
def test_a_tensor_in_another_order_is_refused(imported, name, module, variable, changed, tmp_path, monkeypatch):
    """The importer finds it, which reads by the right layout."""
    run = imported(name)
    broken = break_rule(monkeypatch, module, name, variable, lambda layout: Scrambled(layout, changed))
    message = "the folder, as tfdl reads it, differs from the model by .*, expected at most 0.0001; nothing was written"
    assert_not_written(run, tmp_path, message)
    assert broken


def test_a_rule_that_is_wrong_in_both_directions_is_refused(imported, tmp_path, monkeypatch):
    """The importer reads the folder as it was written. Only transformers can tell."""
    run = imported("vit")
    broken = break_rule(monkeypatch, vit, "vit", "block_1/attention/output/kernel", lambda _: SAME)
    message = "the folder, as transformers reads it, differs from the model by "
    assert_not_written(run, tmp_path, message)
    assert broken


def test_a_setting_that_is_not_written_is_refused(imported, tmp_path, monkeypatch):
    def write(config, data):
        return {key: value for key, value in gpt2._write(config, data).items() if key != "n_head"}

    run = imported("gpt2")
    monkeypatch.setitem(ARCHITECTURES, "gpt2", dataclasses.replace(ARCHITECTURES["gpt2"], write=write))
    message = "tfdl cannot read the folder that it wrote: .*config.json' has no n_head, .*; nothing was written"
    assert_not_written(run, tmp_path, message)


def test_a_tensor_that_transformers_does_not_expect(imported, tmp_path, monkeypatch):
    from tfdl.interop.architectures.base import zeros

    more = dataclasses.replace(
        ARCHITECTURES["gpt2"], extras=lambda _: [zeros("surplus", (2,))], ignored=(r"transformer\.surplus", "surplus")
    )
    run = imported("gpt2")
    monkeypatch.setitem(ARCHITECTURES, "gpt2", more)
    message = "the folder cannot be used in a clean process: transformers reports unexpected_keys: surplus"
    assert_not_written(run, tmp_path, message)


# What is compared


def test_a_tokenizer_without_counterpart(tmp_path, monkeypatch):
    """Bytes: the folder takes token numbers, which are compared as any others."""
    monkeypatch.setattr(comparison, "find_spec", lambda _: None)
    exported = tfdl.export_huggingface(small_run("gpt2", tmp_path / "run"), tmp_path / "out")
    assert exported.files == ("config.json", "model.safetensors")
    assert exported.compared == 4
    assert exported.largest_difference == 0


def test_weights_in_float64_are_compared_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "find_spec", lambda _: None)
    run = small_run("gpt2", tmp_path / "run", {"precision": "float64"})
    assert tfdl.export_huggingface(run, tmp_path / "out").largest_difference < 1e-6


def test_texts_of_several_lengths_and_segments(imported):
    loaded = load_run(imported("bert"))
    samples = network_samples(loaded.task)
    lengths = {name: np.count_nonzero(tokens, axis=1).tolist() for name, tokens in samples.items()}
    assert lengths["short"] == [1]
    assert lengths["long"] == [loaded.task.longest]
    assert len(set(lengths["together"])) > 1
    inputs = as_transformers(samples, loaded.task, loaded.config.model)
    assert {name for named in inputs.values() for name in named} == {"input_ids", "attention_mask", "token_type_ids"}
    segments = np.concatenate([named["token_type_ids"].ravel() for named in inputs.values()])
    assert set(segments.tolist()) == {0, 1}
    for name, tokens in samples.items():
        logits = loaded.model.logits(tokens, inputs[name]["token_type_ids"])
        np.testing.assert_array_equal(loaded.model(tokens), logits)


def test_the_longest_text_has_a_bound(imported, monkeypatch):
    task = load_run(imported("gpt2")).task
    monkeypatch.setattr(task, "sequence_length", 100_000)
    assert [tokens.shape for tokens in network_samples(task).values()] == [(1, 1), (1, 1024), (2, 342)]
    monkeypatch.setattr(task.tokenizer, "vocab_size", 2**20)
    assert [tokens.shape for tokens in network_samples(task).values()] == [(1, 1), (1, 32), (2, 11)]


@pytest.mark.parametrize("name", ["export_huggingface", "export_adapter"])
def test_one_rank_of_several_exports(name, tmp_path):
    class SecondOfTwo(SingleWorld):
        rank = 1
        size = 2

    set_current_world(SecondOfTwo())
    try:
        with pytest.raises(UserError, match=f"{name} on rank 1 of 2, expected rank 0 only"):
            getattr(tfdl.export, name)(tmp_path / "run", tmp_path / "out")
    finally:
        set_current_world(SingleWorld())
    assert not (tmp_path / "out").exists()
