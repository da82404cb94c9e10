"""Every value that cannot be used is an error that names the key, what was received and what was expected."""

import math

import pytest

from tfdl.config import MODELS, TrainConfig, compose
from tfdl.errors import UserError

AT_LEAST_0 = "a number of at least 0"
AT_LEAST_1 = "a number of at least 1"
FRACTION = "a number from 0 to below 1"
POSITIVE = "a positive number"
FAMILIES = ", ".join(MODELS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, f"epochs=0, expected {AT_LEAST_1}"),
        ({"steps": -1}, f"steps=-1, expected {AT_LEAST_1}"),
        ({"epochs": 2, "steps": 3}, "epochs=2 and steps=3, pass one of them, not both"),
        ({"batch_size": 0}, f"batch_size=0, expected {AT_LEAST_1}"),
        ({"steps_per_execution": 0}, f"steps_per_execution=0, expected {AT_LEAST_1}"),
        ({"keep_checkpoints": 0}, f"keep_checkpoints=0, expected {AT_LEAST_1}"),
        ({"watchdog_timeout": -1}, "watchdog_timeout=-1.0, expected seconds, or 0"),
        ({"watchdog_timeout": float("inf")}, "watchdog_timeout=inf, expected seconds, or 0"),
        ({"seed": -1}, "seed=-1, expected a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "seed=4294967296, expected a whole number from 0 to 4294967295"),
        (
            {"task": "image-clasification"},
            "task='image-clasification', expected one of image-classification, text-classification, language-modeling,"
            " translation. Did you mean 'image-classification'?",
        ),
        ({"model": {"filters": []}}, "model.filters=[], expected at least one block, such as [32, 64]"),
        ({"model": {"filters": [8, 0]}}, "model.filters=[8, 0], expected positive channel counts"),
        ({"model": {"kernel_size": 0}}, f"model.kernel_size=0, expected {AT_LEAST_1}"),
        ({"model": {"units": 0}}, f"model.units=0, expected {AT_LEAST_1}"),
        ({"model": {"dropout": 1}}, f"model.dropout=1.0, expected {FRACTION}"),
        ({"model": {"dropout": math.nan}}, f"model.dropout=nan, expected {FRACTION}"),
        ({"model": {"momentum": -0.1}}, f"model.momentum=-0.1, expected {FRACTION}"),
        ({"model": {"l2": -1}}, f"model.l2=-1.0, expected {AT_LEAST_0}"),
        ({"optimizer": {"learning_rate": 0}}, f"optimizer.learning_rate=0.0, expected {POSITIVE}"),
        ({"optimizer": {"clip_norm": 0}}, f"optimizer.clip_norm=0.0, expected {POSITIVE}"),
        ({"optimizer": {"beta_1": 1}}, f"optimizer.beta_1=1.0, expected {FRACTION}"),
        ({"optimizer": {"beta_2": 1}}, f"optimizer.beta_2=1.0, expected {FRACTION}"),
        ({"optimizer": {"epsilon": -1}}, f"optimizer.epsilon=-1.0, expected {AT_LEAST_0}"),
        ({"optimizer": {"name": "sgd", "momentum": 1}}, f"optimizer.momentum=1.0, expected {FRACTION}"),
        ({"optimizer": {"name": "sgd", "learning_rate": -1}}, f"optimizer.learning_rate=-1.0, expected {POSITIVE}"),
        ({"dataset": {"name": " "}}, "dataset.name=' ', expected the name of a data set, such as digits"),
        ({"dataset": {"image_size": [0, 8]}}, "dataset.image_size=[0, 8], expected a positive height and width"),
        ({"dataset": {"memory_limit_mb": -1}}, f"dataset.memory_limit_mb=-1, expected {AT_LEAST_0}"),
        ({"dataset": 3}, "dataset=3, expected a name or a mapping with `name`"),
        ({"model": 3}, f"model=3, expected a name or a mapping with `name`; names: {FAMILIES}"),
        ({"model": {"name": 3}}, "model.name=3, expected a text"),
        (
            {"model": "cnnn"},
            f"unknown model 'cnnn', expected one of {FAMILIES}, or a preset that `tfdl models` lists."
            " Did you mean 'cnn'?",
        ),
        ({"optimizer": "adm"}, "unknown optimizer 'adm', expected one of adam, adamw, sgd. Did you mean 'adam'?"),
    ],
)
def test_message(values, message):
    with pytest.raises(UserError) as raised:
        compose(values)
    assert str(raised.value) == message


@pytest.mark.parametrize("rate", [math.inf, math.nan])
def test_a_learning_rate_is_a_finite_number(rate):
    with pytest.raises(UserError, match=r"optimizer\.learning_rate=(inf|nan), expected a positive number"):
        TrainConfig(optimizer={"name": "sgd", "learning_rate": rate})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": "rnn", "dataset": {"augmentation": ["flip"]}},
            "dataset.augmentation=['flip'], expected nothing: it has no meaning for language-modeling",
        ),
        (
            {"model": "rnn", "dataset": {"image_size": [8, 8]}},
            "dataset.image_size=[8, 8], expected nothing: it has no meaning for language-modeling",
        ),
        (
            {"model": "cnn", "dataset": {"sequence_length": 20}},
            "dataset.sequence_length=20, expected nothing: it has no meaning for image-classification",
        ),
        (
            {"task": "translation", "dataset": {"name": "pairs.tsv", "text_column": "de"}},
            "dataset.text_column='de', expected nothing: it has no meaning for translation",
        ),
        (
            {"task": "text-classification", "dataset": {"source_column": "de"}},
            "dataset.source_column='de', expected nothing: it has no meaning for text-classification",
        ),
        ({"tokenizer": "bpe"}, "tokenizer='bpe', expected nothing: it has no meaning for image-classification"),
        (
            {"tokenizer": {"name": "bpe", "vocab_size": 300}},
            "tokenizer='bpe', expected nothing: it has no meaning for image-classification",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(values, message):
    with pytest.raises(UserError) as raised:
        compose(values)
    assert str(raised.value).startswith(message)


def test_a_field_of_another_task_leads_to_the_task():
    with pytest.raises(UserError, match=r"; leave it out, or give --task text-classification or language-modeling$"):
        compose({"dataset": {"name": "reviews.csv", "text_column": "review"}})
    with pytest.raises(UserError, match=r"--task text-classification or language-modeling or translation$"):
        compose({"tokenizer": "bpe"})


def test_a_recipe_s_own_choices_are_not_taken_for_the_user_s():
    assert compose({"model": "cnn"}).dataset.augmentation
    assert compose({"model": "rnn", "dataset": "tiny_shakespeare"}).task == "language-modeling"
