"""Parts of a user, with fields and recipes that tfdl's own parts do not have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
import yaml

from tfdl.config import (
    AUGMENTATIONS,
    DATASETS,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    TASKS,
    TOKENIZERS,
    ModelConfig,
    TokenizerConfig,
    TrainConfig,
    compose,
    register_model,
    register_tokenizer,
    to_mapping,
    to_yaml,
)


@pytest.fixture(autouse=True)
def _own_registries(monkeypatch: Any) -> None:
    """What a test registers is forgotten afterwards."""
    for registry in (AUGMENTATIONS, DATASETS, MODELS, OPTIMIZERS, SCHEDULES, TASKS, TOKENIZERS):
        monkeypatch.setattr(registry, "_parts", dict(registry._parts))


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
