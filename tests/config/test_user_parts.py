"""Parts of a user, with fields and recipes that tfdl's own parts do not have."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import pytest
import yaml

from tfdl.cli.models import _families
from tfdl.config import (
    TASKS,
    AdamConfig,
    DatasetConfig,
    ModelConfig,
    SGDConfig,
    TaskSpec,
    TokenizerConfig,
    TrainConfig,
    compose,
    register_dataset,
    register_model,
    register_task,
    register_tokenizer,
    to_mapping,
    to_yaml,
)
from tfdl.config.fields import require
from tfdl.config.schedules import ConstantScheduleConfig, CosineScheduleConfig
from tfdl.errors import UserError
from tfdl.models import build_model
from tfdl.tasks.text_inputs import longest_text

pytestmark = pytest.mark.usefixtures("own_registries")


def test_a_field_with_the_name_of_a_section() -> None:
    @dataclass(frozen=True)
    class SentencePieceConfig(TokenizerConfig):
        name: ClassVar[str] = "sentencepiece"

        model: str = ""

    register_tokenizer(SentencePieceConfig, "nowhere:Tokenizer")
    config = TrainConfig(task="translation", tokenizer=SentencePieceConfig(model="a.model"))
    assert compose(to_mapping(config)) == config
    assert compose(to_mapping(config), {"tokenizer.model": "b.model"}).tokenizer == SentencePieceConfig(model="b.model")


@dataclass(frozen=True)
class OddModelConfig(ModelConfig):
    """A model whose fields have types that no model of tfdl has."""

    name: ClassVar[str] = "odd"
    tasks: ClassVar[tuple[str, ...]] = ("image-classification",)
    example_data: ClassVar[Mapping[str, Any]] = {}

    sizes: tuple[tuple[int, int], ...] = ((1, 2), (3, 4))
    kinds: tuple[Literal["wide", "deep"], ...] = ("wide",)
    rate: int | Literal["full"] = "full"


def test_a_configuration_with_unusual_types_is_written_and_read() -> None:
    register_model(OddModelConfig, "nowhere:build")
    config = TrainConfig(model=OddModelConfig(kinds=("deep", "wide"), rate=3))
    assert compose(yaml.safe_load(to_yaml(config))) == config


def test_values_from_python_are_converted_as_those_from_yaml() -> None:
    register_model(OddModelConfig, "nowhere:build")
    assert OddModelConfig(sizes=[[5, 6]]).sizes == ((5, 6),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "optimizer", ["sgd", {"name": "sgd"}, SGDConfig(), {"name": "sgd", "schedule": ConstantScheduleConfig()}]
)
def test_a_recipe_s_optimizer_is_given_as_any_other(optimizer: Any) -> None:
    class OwnRecipeConfig(OddModelConfig):
        name: ClassVar[str] = "own-recipe"
        recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"image-classification": {"optimizer": optimizer}}

    register_model(OwnRecipeConfig, "nowhere:build")
    assert TrainConfig(model="own-recipe").optimizer == SGDConfig()
    changed = compose({"model": "own-recipe", "optimizer.learning_rate": 0.5, "optimizer.schedule.name": "cosine"})
    assert changed.optimizer == SGDConfig(learning_rate=0.5, schedule=CosineScheduleConfig())


def test_a_recipe_s_optimizer_without_a_name_is_the_default_one() -> None:
    class FastConfig(OddModelConfig):
        name: ClassVar[str] = "fast"
        recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
            "image-classification": {"optimizer": {"learning_rate": 0.01}}
        }

    register_model(FastConfig, "nowhere:build")
    assert TrainConfig(model="fast").optimizer == AdamConfig(learning_rate=0.01)


def test_a_key_that_no_recipe_has() -> None:
    class WrongConfig(OddModelConfig):
        name: ClassVar[str] = "wrong"
        recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"image-classification": {"learning_rate": 0.01}}

    register_model(WrongConfig, "nowhere:build")
    with pytest.raises(UserError, match=r"'wrong' for image-classification has the key 'learning_rate', expected one"):
        TrainConfig(model="wrong")


def test_a_task_may_read_a_field_that_only_its_data_set_has() -> None:
    @dataclass(frozen=True)
    class PicturesConfig(DatasetConfig):
        name: str = "pictures"
        caption_column: str | None = None

    register_dataset(PicturesConfig, "nowhere:load")
    fields = frozenset({"caption_column"})
    register_task(TaskSpec("captioning", "nowhere:Task", "cnn", "pictures", ("image", "caption"), fields))
    assert TrainConfig(task="captioning", dataset={"caption_column": "text"}).dataset.name == "pictures"
    assert TrainConfig().dataset.name == "digits"
    with pytest.raises(UserError, match=r"dataset\.caption_column='text', expected nothing: it has no meaning for"):
        TrainConfig(dataset={"name": "pictures", "caption_column": "text"})


def test_a_task_s_default_model_may_be_a_preset() -> None:
    register_task(TaskSpec("ranking", "nowhere:Task", "resnet20", "digits", ("image", "label"), models=("resnet32",)))
    assert TrainConfig(task="ranking").model.label == "resnet20"
    assert TrainConfig(task="ranking", model="resnet32").model.label == "resnet32"
    with pytest.raises(UserError, match="task='ranking' and model='resnet44', which is for image-classification"):
        TrainConfig(task="ranking", model="resnet44")


def test_a_family_without_a_task() -> None:
    class BareConfig(ModelConfig):
        name: ClassVar[str] = "bare"

    register_model(BareConfig, "nowhere:build")
    assert _families()["bare"]["task"] == ""
    register_task(TaskSpec("own", "nowhere:Task", "bare", "digits", ("image",)))
    assert TrainConfig(task="own").model == BareConfig()
    with pytest.raises(UserError, match="the model 'bare' has no default task; choose one with --task"):
        TrainConfig(model="bare")
    with pytest.raises(UserError, match="model='bare', which is for no task; choose another --model, such as cnn"):
        TrainConfig(model="bare", task="image-classification")


def test_a_model_may_have_a_length_and_no_positions() -> None:
    class LengthConfig(ModelConfig):
        name: ClassVar[str] = "length"
        tasks: ClassVar[tuple[str, ...]] = ("language-modeling",)
        sequence_length: int = 64

        def check_length(self, name: str, length: int) -> None:
            require(length <= 100, name, length, "at most 100 tokens")

    register_model(dataclass(frozen=True)(LengthConfig), "nowhere:build")
    assert longest_text(TrainConfig(model="length")) == 64
    assert longest_text(TrainConfig(model="length", dataset={"sequence_length": 80})) == 80
    with pytest.raises(UserError, match=r"dataset\.sequence_length=101, expected at most 100 tokens"):
        longest_text(TrainConfig(model="length", dataset={"sequence_length": 101}))


def test_a_builder_without_arguments_for_the_data():
    register_model(OddModelConfig, lambda config: config)
    with pytest.raises(
        UserError, match=r"the builder of '.*' takes none of input_shape, expected keyword-only arguments"
    ):
        build_model(OddModelConfig(), input_shape=(8, 8, 1))


def test_a_task_that_names_its_implementation_belongs_to_the_module_that_declares_it() -> None:
    """The named module is imported later, so the configuration must not need it as a plugin."""
    register_task(TaskSpec("later", "nowhere:Task", "cnn", "digits", ("image", "label")))
    assert TASKS.part("later").provider == __name__
    config = TrainConfig(task="later")
    assert config.plugins == (__name__,)
    assert config.replace(epochs=3).plugins == (__name__,)
    assert TASKS.part("image-classification").provider == "tfdl"


def test_a_task_has_the_models_and_recipes_of_its_base() -> None:
    spec = TaskSpec("own-texts", "nowhere:Task", "rnn", "docstrings", ("text", "label"), base="text-classification")
    register_task(dataclasses.replace(spec, reads_tokens=True))
    config, expected = (TrainConfig(task=task, model="bert-tiny") for task in ("own-texts", "text-classification"))
    assert config.model == expected.model
    assert (config.optimizer, config.epochs) == (expected.optimizer, expected.epochs)
    with pytest.raises(UserError, match="task='own-texts' and model='cnn', which is for image-classification"):
        TrainConfig(task="own-texts", model="cnn")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda _config: None, "the builder of 'odd' returned a NoneType, expected a keras.Model"),
        (
            lambda _config: keras.Sequential([keras.layers.Dense(1)]),
            "the builder of 'odd' returned a model without weights",
        ),
    ],
)
def test_a_builder_that_returns_no_built_model(build, message):
    register_model(OddModelConfig, build)
    with pytest.raises(UserError, match=message):
        build_model(OddModelConfig())


@dataclass(frozen=True)
class StrictConfig(ModelConfig):
    name: ClassVar[str] = "strict"
    tasks: ClassVar[tuple[str, ...]] = ("image-classification",)
    example_data: ClassVar[Mapping[str, Any]] = {}

    patch: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch < 1:
            raise ValueError(f"model.patch={self.patch}, expected at least 1")


def test_a_value_that_a_configuration_refuses_is_the_user_s_error():
    register_model(StrictConfig, "nowhere:build")
    with pytest.raises(UserError, match=r"model cannot be used: model\.patch=0, expected at least 1"):
        TrainConfig.from_mapping({"model": {"name": "strict", "patch": 0}})
