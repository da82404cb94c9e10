"""Runs that start from another run's weights: what is taken over, what is frozen, and updates of low rank."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import tfdl
from tfdl.cli.main import main
from tfdl.config import compose
from tfdl.errors import UserError
from tfdl.export import export_adapter
from tfdl.interop import import_adapter
from tfdl.models.freezing import matching
from tfdl.runs import RunDirectory, load_run

WORDS = {"sport": "goal match team ball", "food": "bread soup salt cook", "law": "court judge appeal trial"}
SMALL = {"model": "transformer", "model.hidden_dim": 16, "model.num_heads": 2, "model.num_layers": 1,
         "model.sequence_length": 16, "batch_size": 16, "steps_per_execution": 5}  # fmt: skip
RECIPE = {"batch_size": 16, "epochs": 1, "optimizer": {"name": "adam", "schedule": "constant", "warmup_epochs": 0}}


def write_texts(path, classes, words=WORDS, count=120):
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        label = classes[number % len(classes)]
        rows.append(f"{' '.join(random.choice(words[label].split(), 5))} {number},{label}")
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small Transformer that classifies texts."""
    folder = tmp_path_factory.mktemp("base")
    data = write_texts(folder / "texts.csv", ["sport", "food", "law"])
    config = compose({"task": "text-classification", "dataset.name": data, "tokenizer": "word", "epochs": 3}, SMALL)
    return tfdl.train(config, folder / "run")


@pytest.fixture
def texts(tmp_path):
    """Texts of other classes."""
    return write_texts(tmp_path / "new.csv", ["law", "food"], {"law": "court law the of", "food": "soup bread a to"})


def fine_tune(base, texts, output, changes=(), **fields):
    settings = {"initial_checkpoint": str(base.path), "dataset.name": texts, **RECIPE}
    return tfdl.train(compose(settings, dict(changes), fields), output)


def weights(run, checkpoint="last"):
    return load_file(run.checkpoint(checkpoint) / "model.safetensors")


def test_model_task_tokenizer_and_weights_come_along(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"freeze": ["*", "!logits"]})
    config = run.read_config()
    assert (config.task, config.model.hidden_dim, config.model.sequence_length) == ("text-classification", 16, 16)
    tuned = load_run(run)
    assert tuned.task.tokenizer == load_run(base).task.tokenizer
    assert tuned.task.class_names == ("food", "law")
    before = weights(base)
    after = weights(run)
    assert before.keys() == after.keys()
    for name, value in after.items():
        if name.startswith("logits/"):
            assert value.shape != before[name].shape
        else:
            np.testing.assert_array_equal(value, before[name], err_msg=name)
    asset = json.loads((run.assets / "initial_checkpoint.json").read_text())
    assert asset["new"] == ["logits/kernel", "logits/bias"]


def test_equal_classes_keep_the_head(base, tmp_path):
    same = write_texts(tmp_path / "same.csv", ["law", "food", "sport"])
    run = fine_tune(base, same, tmp_path / "run", {"optimizer.learning_rate": 1e-30})
    assert json.loads((run.assets / "initial_checkpoint.json").read_text())["new"] == []
    for name, value in weights(run).items():
        np.testing.assert_allclose(value, weights(base)[name], atol=1e-6, err_msg=name)


def test_what_is_not_frozen_is_trained(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"freeze": ["token_embedding", "*/attention"]})
    for name, value in weights(run).items():
        if name.startswith("logits"):
            continue
        is_frozen = name.startswith("token_embedding") or "/attention/" in name
        assert np.array_equal(value, weights(base)[name]) == is_frozen, name


def test_updates_of_low_rank_leave_the_base_as_it_is(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2, "model.lora_alpha": 4.0}, epochs=2)
    after = weights(run)
    for name, value in weights(base).items():
        if not name.startswith("logits"):
            np.testing.assert_array_equal(after[name], value, err_msg=name)
    updates = {name for name in after if "lora_kernel_" in name}
    assert len(updates) == 2 * 4  # two of attention, two of feed-forward
    assert all(np.any(after[name]) for name in updates)
    optimizer = load_file(run.checkpoint() / "optimizer.safetensors")
    assert not [name for name in optimizer if "embedding" in name]
    # Merged, it answers the same.
    separate, merged = load_run(run), load_run(run, merged=True)
    assert len(merged.model.weights) == len(separate.model.weights) - len(updates)
    tokens = np.arange(1, 15).reshape(2, 7)
    np.testing.assert_allclose(merged.model(tokens), separate.model(tokens), atol=1e-6)
    assert tfdl.evaluate(run) == pytest.approx(run.read_summary()["test"])


def test_merged_kernels_by_hand(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2, "model.lora_alpha": 6.0})
    stored = weights(run)
    merged = {variable.path: np.asarray(variable) for variable in load_run(run, merged=True).model.weights}
    layer = "block_1/feed_forward/up"
    update = 3.0 * stored[f"{layer}/lora_kernel_a"].astype(float) @ stored[f"{layer}/lora_kernel_b"].astype(float)
    assert np.any(update)
    np.testing.assert_allclose(merged[f"{layer}/kernel"], stored[f"{layer}/kernel"] + update, rtol=1e-6)
    np.testing.assert_array_equal(merged["logits/kernel"], stored["logits/kernel"])


@pytest.mark.slow
def test_an_export_is_merged(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2})
    exported = tfdl.export_saved_model(run, tmp_path / "exported")
    assert exported.largest_difference < 1e-4
    names = [variable.name for variable in tf.saved_model.load(str(exported.path)).model_variables]
    assert not [name for name in names if "lora" in name]
    assert any("query_key_value/kernel" in name for name in names)


@pytest.mark.parametrize("changes", [{"model.lora_rank": 2}, {"freeze": ["block_1"]}])
def test_a_resumed_run_needs_no_other_run(base, texts, tmp_path, changes):
    lender = tmp_path / "lender"
    shutil.copytree(base.path, lender, symlinks=True)
    whole = fine_tune(base, texts, tmp_path / "whole", changes, epochs=None, steps=8)
    part = fine_tune(RunDirectory(lender), texts, tmp_path / "part", changes, epochs=None, steps=4)
    shutil.rmtree(lender)
    resumed = tfdl.train(part.read_config().replace(steps=8), part.path, resume=True)
    assert resumed.read_summary()["weights_sha256"] == whole.read_summary()["weights_sha256"]


def test_a_run_is_repeated_by_its_configuration(base, texts, tmp_path):
    first = fine_tune(base, texts, tmp_path / "first", {"model.lora_rank": 2})
    second = tfdl.train(first.read_config(), tmp_path / "second")
    assert second.read_summary()["weights_sha256"] == first.read_summary()["weights_sha256"]


def test_a_checkpoint_of_a_run(base, texts, tmp_path):
    first = sorted(path.name for path in base.checkpoints.glob("step-*"))[0]
    changes = {"initial_checkpoint": str(base.checkpoints / first), "freeze": ["*", "!logits"]}
    run = fine_tune(base, texts, tmp_path / "run", changes)
    name = "token_embedding/table"
    np.testing.assert_array_equal(weights(run)[name], weights(base, first)[name])
    assert not np.array_equal(weights(run)[name], weights(base)[name])


def test_frozen_batch_normalization_uses_its_moving_statistics(trained_run, tiny, tmp_path):
    frozen = ["*", "!logits"]
    run = tfdl.train(tiny({"initial_checkpoint": str(trained_run.path), "freeze": frozen}, steps=3), tmp_path / "run")
    before = weights(trained_run)
    moved = [name for name, value in weights(run).items() if not np.array_equal(value, before[name])]
    assert moved == ["logits/bias", "logits/kernel"]
    assert any("moving_" in name for name in before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial_checkpoint": "gone"}, "--initial-checkpoint 'gone': no such directory, expected that of a run"),
        ({"freeze": ["blocks_1"]}, "--freeze 'blocks_1' names no layer and no variable .* Did you mean 'block_1'"),
        ({"freeze": "*"}, "all variables are frozen, expected some to train"),
        ({"model.hidden_dim": 32}, r"has token_embedding/table of the shape \(\d+, 16\), expected \(\d+, 32\)"),
        ({"model.num_layers": 2}, "belongs to another model: missing: .*block_2"),
        ({"model.lora_rank": 17}, "model.lora_rank=17, expected from 1 to model.hidden_dim=16"),
        ({"model.lora_alpha": 2.0}, "model.lora_alpha=2.0, expected nothing without model.lora_rank"),
        ({"initial_checkpoint": None, "model": "transformer", "model.lora_rank": 2, "task": "text-classification"},
         "model.lora_rank=2, expected nothing, except with --initial-checkpoint RUN"),
    ],
)  # fmt: skip
def test_what_does_not_fit_ends_before_anything_is_written(base, texts, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        fine_tune(base, texts, tmp_path / "run", changes)
    assert not (tmp_path / "run").exists()


def test_another_task(base, tmp_path, tiny):
    with pytest.raises(UserError, match="is a run of text-classification, expected one of image-classification"):
        tfdl.train(
            tiny({"task": "image-classification", "initial_checkpoint": str(base.path), "model": "cnn"}),
            tmp_path / "run",
        )


def test_an_adapter_and_its_base_are_the_run_again(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2}, epochs=2)
    exported = export_adapter(run, tmp_path / "adapter")
    added = load_file(tmp_path / "adapter" / "adapter.safetensors")
    assert set(added) == {name for name in weights(run) if "lora_kernel_" in name or name.startswith("logits")}
    assert exported.parameters == sum(value.size for value in added.values())
    again = import_adapter(tmp_path / "adapter", base.path, tmp_path / "again", dataset=texts)
    for name, value in weights(run).items():
        np.testing.assert_array_equal(weights(again)[name], value, err_msg=name)
    assert tfdl.evaluate(again) == tfdl.evaluate(run)
    assert tfdl.load(again).predict("court judge") == tfdl.load(run).predict("court judge")


def test_an_adapter_has_names_and_no_paths(base, texts, tmp_path):
    """Also that of an imported adapter, whose run has the path of its source."""
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2, "dataset.data_dir": str(tmp_path / "data")})
    exported = export_adapter(run, tmp_path / "adapter")
    assert exported.base.run == str(base.path)  # for the user of this machine
    again = import_adapter(tmp_path / "adapter", base.path, tmp_path / "again", dataset=texts)
    export_adapter(again, tmp_path / "second")
    places = [str(place).encode() for place in (tmp_path, base.path, base.path.parent.name)]
    for folder in (tmp_path / "adapter", tmp_path / "second"):
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert sorted(files) == [
            "adapter.safetensors",
            "assets/initial_checkpoint.json",
            "assets/text_classification.json",
            "assets/tokenizer/tokenizer.json",
            "config.yaml",
        ]
        assert [(name, place) for name, content in files.items() for place in places if place in content] == []
        config = RunDirectory(folder).read_config()
        assert (config.dataset.name, config.dataset.data_dir, config.initial_checkpoint) == ("./new.csv", None, "run")
        record = json.loads(files["assets/initial_checkpoint.json"])
        assert (record["run"], record["sha256"]) == ("run", exported.base.sha256)


def test_the_data_of_an_imported_adapter(base, texts, tmp_path, monkeypatch, capsys):
    """Is searched in the working directory by its last name, or named by --dataset."""
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2})
    expected = tfdl.evaluate(run)
    export_adapter(run, tmp_path / "adapter")
    again = import_adapter(tmp_path / "adapter", base.path, tmp_path / "again")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"dataset '\./new\.csv': no such file or folder"):
        tfdl.evaluate(again)
    shutil.copy(texts, "new.csv")
    assert tfdl.evaluate(again) == expected
    arguments = ["import", str(tmp_path / "adapter"), str(tmp_path / "third"), "--base", str(base.path)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--dataset", texts])
    assert ended.value.code == 0, capsys.readouterr().err
    assert RunDirectory(tmp_path / "third").read_config().dataset.name == texts


def test_an_adapter_of_other_weights(base, texts, tmp_path):
    run = fine_tune(base, texts, tmp_path / "run", {"model.lora_rank": 2})
    export_adapter(run, tmp_path / "adapter")
    first = sorted(base.checkpoints.glob("step-*"))[0]
    with pytest.raises(
        UserError, match="has other weights than those that the adapter was trained on, which are those"
    ):
        import_adapter(tmp_path / "adapter", first, tmp_path / "again")
    with pytest.raises(
        UserError,
        match=r"has an earlier export of this format, .*; replace it with --overwrite",
    ):
        export_adapter(run, tmp_path / "adapter")
    assert export_adapter(run, tmp_path / "adapter", overwrite=True).path == tmp_path / "adapter"
    (tmp_path / "adapter" / "assets" / "mine").touch()
    with pytest.raises(UserError, match="has 'assets/mine', which such an export does not write"):
        export_adapter(run, tmp_path / "adapter", overwrite=True)
    with pytest.raises(UserError, match=r"has no updates of low rank, expected a run that was trained with --set"):
        export_adapter(base, tmp_path / "other")
    with pytest.raises(UserError, match=r"is no adapter, expected a folder of `tfdl export --format lora`"):
        import_adapter(base.path, base.path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_base_with_updates_gives_its_merged_weights(base, texts, tmp_path):
    """Of a run that was itself fine-tuned with updates of low rank, nothing is lost."""
    tuned = fine_tune(base, texts, tmp_path / "tuned", {"model.lora_rank": 2, "optimizer.learning_rate": 0.05})
    merged = load_run(tuned, merged=True).model
    small = {name: value for name, value in SMALL.items() if name.startswith("model")}
    for changes in ({}, {**small, "task": "text-classification"}):
        again = fine_tune(
            tuned, texts, tmp_path / f"again-{len(changes)}", {**changes, "optimizer.learning_rate": 1e-30}
        )
        plain = load_run(again, merged=True).model
        for variable, other in zip(plain.weights, merged.weights, strict=True):
            np.testing.assert_allclose(variable, other, atol=1e-6, err_msg=variable.path)


def test_an_adapter_has_all_that_was_trained(base, texts, tmp_path):
    changes = {"model.lora_rank": 2, "freeze": ["!final_norm"]}
    run = fine_tune(base, texts, tmp_path / "run", changes, epochs=2)
    assert not np.array_equal(weights(run)["final_norm/gamma"], weights(base)["final_norm/gamma"])
    export_adapter(run, tmp_path / "adapter")
    again = import_adapter(tmp_path / "adapter", base.path, tmp_path / "again")
    for name, value in weights(run).items():
        np.testing.assert_array_equal(weights(again)[name], value, err_msg=name)


def test_patterns_apply_in_their_order(base):
    model = load_run(base).model
    everything = {variable.path for variable in model.weights}
    assert matching(model, ["!logits", "*"], everything) == everything
    assert matching(model, ["*", "!logits"]) == everything - {"logits/kernel", "logits/bias"}
    found = matching(model, ["block_*", "!block_1", "block_1/feed_forward/up/kernel"])
    assert found == {"block_1/feed_forward/up/kernel"}


def test_another_tokenizer_than_that_of_the_weights(base, texts, tmp_path):
    with pytest.raises(UserError, match=r"tokenizer.name='byte', but the weights are for the tokenizer 'word'"):
        fine_tune(base, texts, tmp_path / "run", {"tokenizer": "byte"})
