"""Every declared part, run through the contract of its kind: a new part is tested here as soon as it is declared."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import (
    AUGMENTATIONS,
    DATASETS,
    EXPORT_FORMATS,
    MODELS,
    OPTIMIZERS,
    SAMPLERS,
    SCHEDULES,
    TASKS,
    TOKENIZERS,
    compose,
)
from tfdl.data import Source, training_batches
from tfdl.data.augmentation import Augmentation, ImageChange, ImageMix
from tfdl.data.opening import open_images, open_texts
from tfdl.data.pipeline import WEIGHT
from tfdl.data.tokenizers import Tokenizer, fit_tokenizer, load_tokenizer
from tfdl.evaluation import evaluator_for
from tfdl.inference.generation import Sampler
from tfdl.models import build_model
from tfdl.optimizers import build_optimizer
from tfdl.tasks import DecodingTask, Task

BATCH = 4
# A few samples of each default data set.
FEW = {
    "digits": {"dataset.train_split": "train[:30]", "dataset.validation_split": "train[30:36]"},
    "python_topics": {
        "dataset.train_split": "train[1:4]",
        "dataset.validation_split": "validation[:1]",
        "dataset.test_split": "test[:1]",
    },
}
FEW_TEXTS = {
    "dataset.train_split": "train[:30]",
    "dataset.validation_split": "validation[:6]",
    "dataset.test_split": "test[:6]",
    "dataset.sequence_length": 24,
}
SMALL = {
    "cnn": {"model.filters": [4], "model.units": 8},
    "rnn": {"model.units": 8},
    "transformer": {"model.hidden_dim": 16, "model.num_heads": 2, "model.num_layers": 1},
}
TEXT = "Hello, world! 12 hellos"


@pytest.fixture(scope="module", params=list(TASKS))
def opened(request: Any) -> tuple[tfdl.TrainConfig, Task, dict[str, Source]]:
    """Each task on a few samples of its default data set."""
    spec = TASKS[request.param]
    plain = {"task": spec.name, "batch_size": BATCH}
    config = compose(plain, FEW.get(spec.dataset, FEW_TEXTS), SMALL.get(spec.model, {}))
    task, sources = TASKS.load(request.param).open(config)
    return config, task, sources


@pytest.fixture(scope="module")
def model(opened: Any) -> Any:
    config, task, _ = opened
    keras.utils.set_random_seed(0)
    built = build_model(config.model, **task.model_arguments)
    task.fit_to(built)
    return built


@pytest.fixture(scope="module")
def batch(opened: Any) -> dict[str, Any]:
    _, task, sources = opened
    batches = training_batches(sources["train"], batch_size=BATCH, seed=0, augment=task.augment)
    return next(iter(batches))


def serving_graph(task: Task, model: Any) -> Any:
    serve = tf.function(lambda **inputs: task.serve(model, **inputs))
    return serve.get_concrete_function(**task.serving_signature())


class TestTask:
    def test_it_has_every_member(self, opened):
        config, task, _ = opened
        spec = TASKS[config.task]
        assert isinstance(task, Task)
        assert task.name == spec.name
        assert task.running_metrics[0] == "loss"
        assert task.prefers_larger(task.monitor) is task.larger_is_better
        assert task.prefers_larger("loss") is False
        assert task.prefers_larger("no metric of this name") is None
        assert hasattr(task, "tokenizer") == spec.reads_tokens

    def test_its_splits_are_sources(self, opened):
        _, _, sources = opened
        assert set(sources) == {"train", "validation", "test"}
        for source in sources.values():
            assert isinstance(source, Source)
            order = source.epoch_order(7, 1, BATCH)
            assert len(order) == source.num_examples
            np.testing.assert_array_equal(order, source.epoch_order(7, 1, BATCH))
            pieces = source.evaluation_pieces(5, None)
            assert all(1 <= len(piece) <= 5 for piece in pieces)
            assert sorted(np.concatenate(pieces)) == list(range(source.num_examples))
            read = source.read(tf.constant(order[:3]))
            assert all(len(value) == 3 for value in read.values())

    def test_its_losses_are_the_running_sums(self, opened, model, batch):
        _, task, _ = opened
        outputs = model(task.inputs(batch), training=True)
        losses, weights = task.losses(batch, outputs)
        assert losses.shape == weights.shape
        assert losses.shape[0] == BATCH
        sums = task.running_sums(batch, outputs, losses)
        assert len(sums) == len(task.running_metrics)
        assert all(value.shape == () for value in sums)
        if task.running_metrics == ("loss",):
            assert float(sums[0]) == pytest.approx(float(tf.reduce_sum(losses * weights)), rel=1e-5)
        means = dict.fromkeys(task.running_metrics, 0.5)
        assert {"loss"} <= set(task.running_values(means))

    def test_a_sample_of_weight_0_counts_nothing(self, opened, model, batch):
        _, task, _ = opened
        stand_in = {**batch, WEIGHT: tf.constant([1.0, 1.0, 1.0, 0.0])}
        outputs = model(task.inputs(stand_in), training=False)
        losses, weights = task.losses(stand_in, outputs)
        per_sample = tf.reduce_sum(tf.reshape(losses * weights, [BATCH, -1]), 1)
        assert float(per_sample[3]) == 0
        assert (per_sample.numpy()[:3] != 0).all()

    def test_its_rows_make_its_metrics(self, opened, model):
        _, task, sources = opened
        evaluator = evaluator_for(model, task)
        world = tfdl.distributed.SingleWorld()
        rows = evaluator.rows(sources["validation"], world)
        assert {len(column) for column in rows.values()} == {sources["validation"].num_examples}
        metrics = task.metrics(rows)
        assert {"loss", task.monitor, *task.headline} <= set(metrics)
        assert all(isinstance(value, float) for value in metrics.values())
        # What a report shows is plain data.
        json.dumps(task.details(rows))

    def test_it_is_the_same_after_save_and_load(self, opened, model, tmp_path):
        _, task, _ = opened
        task.save(tmp_path)
        loaded = type(task).load(tmp_path)
        assert loaded.model_arguments == task.model_arguments
        assert loaded.serving_signature() == task.serving_signature()
        loaded.fit_to(model)
        sample = {name: tf.constant(value) for name, value in task.serving_sample(3).items()}
        answers = serving_graph(task, model)(**sample)
        for name, value in serving_graph(loaded, model)(**sample).items():
            np.testing.assert_array_equal(value, answers[name])

    def test_it_serves_its_own_samples_in_a_graph(self, opened, model):
        _, task, _ = opened
        signature = task.serving_signature()
        sample = task.serving_sample(3, seed=1)
        assert list(sample) == list(signature)
        for name, spec in signature.items():
            assert spec.shape[0] is None
            assert spec.name == name
            assert spec.is_compatible_with(tf.constant(sample[name]))
        answers = serving_graph(task, model)(**{name: tf.constant(value) for name, value in sample.items()})
        assert all(value.shape[0] == 3 for value in answers.values())

    def test_a_decoding_task_decodes_without_its_targets(self, opened, model):
        _, task, sources = opened
        if not isinstance(task, DecodingTask):
            pytest.skip("decodes nothing")
        batch = sources["validation"].read(tf.range(3, dtype=tf.int64))
        rows = task.decoded_rows(model, batch)
        assert all(len(column) == 3 for column in rows.values())
        assert task.decoding_batch_size > 0
        assert set(task.text_roles) <= set(TASKS[task.name].roles)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_model_family(name):
    """It builds from its example data, names tasks that exist, and its recipes are configurations."""
    family = MODELS[name]
    assert set(family().tasks) <= set(TASKS)
    assert set(family.recipes) <= set(TASKS)
    model = build_model(name, **family.example_data)
    assert isinstance(model, keras.Model)
    assert model.count_params() > 0
    for task in family.recipes:
        assert compose({"model": name, "task": task}).model == family(**family.task_fields.get(task, {}))


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_optimizer(name):
    """It goes down a bowl, and comes back from its configuration."""
    config = OPTIMIZERS[name]()
    optimizer = build_optimizer(config, total_steps=100)
    assert isinstance(optimizer, keras.optimizers.Optimizer)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    optimizer.learning_rate = 0.05
    for _ in range(100):
        optimizer.apply([2 * variable])
    assert float(tf.norm(variable)) < 0.5
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_a_schedule(name):
    """A rate for each step: positive up to the peak within the run, whatever the warm-up."""
    for warmup in (0, 5):
        fields = {"learning_rate": 0.5, "schedule": name, "warmup_steps": warmup}
        optimizer = build_optimizer("sgd", total_steps=40, **fields)
        rates = []
        for step in range(40):
            optimizer.iterations.assign(step)
            rates.append(float(optimizer.learning_rate))
        assert all(0 <= rate <= 0.5 * (1 + 1e-6) for rate in rates)
        assert max(rates) > 0.4
        if warmup:
            assert rates[0] < rates[warmup - 1]


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_tokenizer(name, tmp_path):
    """Python and graph agree, and it comes back from its file."""
    if name in ("gpt2", "huggingface"):
        pytest.skip("needs files; tests/data/tokenizers and tests/interop have it")
    tokenizer = fit_tokenizer(TOKENIZERS[name](), [TEXT, "hello", "world"] * 20)
    assert isinstance(tokenizer, Tokenizer)
    ids = tokenizer.encode(TEXT)
    assert ids
    assert all(0 <= token < tokenizer.vocab_size for token in ids)
    in_graph = tf.function(tokenizer.encode_in_graph)(tf.constant([TEXT, "", "hello"]))
    assert in_graph.to_list() == [ids, [], tokenizer.encode("hello")]
    decoded = tf.function(tokenizer.decode_in_graph)(in_graph).numpy()[0].decode()
    assert decoded == tokenizer.decode(ids)
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path) == tokenizer


@pytest.mark.parametrize("name", list(SAMPLERS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sampler(name, dtype):
    """In a graph, it leaves each row a token to choose, and a row depends on nothing but itself."""
    config = SAMPLERS[name]()
    sampler = SAMPLERS.load(name)(config)
    assert isinstance(sampler, Sampler)
    generator = np.random.default_rng(0)
    scores = generator.normal(0, 3, (3, 40)).astype(dtype)
    scores[0, :30] = -np.inf  # another sampler has removed these
    history = generator.integers(-1, 40, (3, 20)).astype(np.int32)
    sample = tf.function(sampler)
    changed = sample(tf.constant(scores), tf.constant(history))
    assert (changed.shape, changed.dtype.name) == (scores.shape, dtype)
    changed = changed.numpy()
    assert np.isfinite(changed).any(-1).all()
    assert (changed[0, :30] == -np.inf).all()
    assert not np.isnan(changed).any()
    for row in range(3):
        alone = sample(tf.constant(scores[row : row + 1]), tf.constant(history[row : row + 1]))
        np.testing.assert_array_equal(alone[0], changed[row])


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_an_augmentation(name):
    """Images of their shape and type, decided by the draws alone."""
    config = AUGMENTATIONS[name]()
    change = AUGMENTATIONS.load(name)(config)
    assert isinstance(change, ImageChange | ImageMix)
    generator = np.random.default_rng(0)
    draws = generator.random((3, change.num_draws)).astype(np.float32)
    if isinstance(change, ImageChange):
        images = tf.constant(generator.integers(0, 256, (3, 8, 8, 3), np.uint8))
        apply = tf.function(change.apply)
        changed = apply(images, draws)
        np.testing.assert_array_equal(changed, apply(images, draws))
    else:
        images = tf.constant(generator.uniform(0, 255, (3, 8, 8, 3)).astype(np.float32))
        changed, share = change.apply(images, images[::-1], draws)
        assert share.shape == (3,)
        assert ((share >= 0) & (share <= 1)).numpy().all()
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert Augmentation([config]).num_draws >= change.num_draws


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_data_set(name):
    """It opens for the task that it is declared for."""
    config = DATASETS[name]()
    assert config.about
    roles = TASKS[config.task].roles
    if roles == ("image", "label"):
        images = open_images(config)
        assert len(images.class_names) > 1
        return
    texts = open_texts(config, roles)
    assert set(texts.splits) == {"train", "validation", "test"}


def test_parts_that_only_python_code_uses_are_not_listed():
    for registry, name in ((MODELS, "keras"), (OPTIMIZERS, "keras"), (DATASETS, "python"), (TASKS, "supervised")):
        assert name in registry
        assert name not in list(registry)
        assert registry.load(name) is not None


def test_a_declaration_imports_no_implementation():
    """A part's module is imported when the part is first used."""
    for registry in (
        MODELS,
        TASKS,
        OPTIMIZERS,
        SCHEDULES,
        DATASETS,
        TOKENIZERS,
        AUGMENTATIONS,
        SAMPLERS,
        EXPORT_FORMATS,
    ):
        for name in registry:
            implementation = registry.part(name).implementation
            assert isinstance(implementation, str), name
            module = Path(*implementation.partition(":")[0].split("."))
            assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()
