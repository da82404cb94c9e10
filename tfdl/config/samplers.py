"""Samplers: how the next token of a text is chosen. There is one dataclass for each.

docs/generation.md describes when to use which.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from tfdl.config.choice import choose
from tfdl.config.fields import check_types, require
from tfdl.registry import Registry


@dataclass(frozen=True)
class SamplerConfig:
    """What all samplers' configurations have in common."""

    name: ClassVar[str]
    draws: ClassVar[bool] = True
    """Whether a chain with this sampler draws tokens at random; a chain without one takes the most likely token."""

    def __post_init__(self) -> None:
        check_types(self, f"{self.name}.")


@dataclass(frozen=True)
class RepetitionPenaltySamplerConfig(SamplerConfig):
    """Lowers the scores of tokens that the text contains already (Keskar et al., 2019)."""

    name: ClassVar[str] = "repetition_penalty"
    draws: ClassVar[bool] = False

    penalty: float = 1.2
    """What a positive score is divided by, and a negative score multiplied by; 1 changes nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 < self.penalty < math.inf, "repetition_penalty.penalty", self.penalty, "a positive number such as 1.2"
        )


@dataclass(frozen=True)
class GreedySamplerConfig(SamplerConfig):
    """Always the most likely token."""

    name: ClassVar[str] = "greedy"
    draws: ClassVar[bool] = False


@dataclass(frozen=True)
class RandomSamplerConfig(SamplerConfig):
    """Draws from all tokens."""

    name: ClassVar[str] = "random"

    temperature: float = 1.0
    """What scores are divided by: below 1 likely tokens become more likely, above 1 less."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = "a positive number such as 0.8; for the most likely token, choose the sampler greedy"
        require(0 < self.temperature < math.inf, "random.temperature", self.temperature, expected)


@dataclass(frozen=True)
class TopKSamplerConfig(SamplerConfig):
    """Draws from the k most likely tokens (Fan et al., 2018)."""

    name: ClassVar[str] = "top_k"

    k: int = 50
    """Number of tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.k >= 1, "top_k.k", self.k, "a number of tokens of at least 1")


@dataclass(frozen=True)
class TopPSamplerConfig(SamplerConfig):
    """Draws from the fewest tokens with a probability of p together (nucleus sampling, Holtzman et al., 2020)."""

    name: ClassVar[str] = "top_p"

    p: float = 0.9
    """The probability."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.p <= 1, "top_p.p", self.p, "a probability above 0 and up to 1, such as 0.9")


@dataclass(frozen=True)
class MinPSamplerConfig(SamplerConfig):
    """Draws from tokens of at least p times the largest probability (Nguyen et al., 2024)."""

    name: ClassVar[str] = "min_p"

    p: float = 0.05
    """The fraction of the largest probability."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.p <= 1, "min_p.p", self.p, "a fraction above 0 and up to 1, such as 0.05")


SAMPLERS: Registry[type[SamplerConfig]] = Registry("sampler")
"""Every sampler's configuration by name."""


def register_sampler(config: type[SamplerConfig], implementation: Any) -> None:
    """Declares a sampler.

    Args:
        config: a frozen dataclass that derives from ``SamplerConfig``; its ``name`` is the sampler's name.
        implementation: ``"module:function"`` or the function itself: ``build(config)`` to a
            ``tfdl.inference.generation.Sampler``. A subclass that takes the configuration is such a function.

    Raises:
        ValueError: the name is taken, or not a plain name.
    """
    SAMPLERS.register(config.name, config, implementation)


def choose_samplers(values: Any) -> tuple[SamplerConfig, ...]:
    """The configurations of a chain of samplers.

    Args:
        values: configurations, names or mappings of ``name`` and fields, in the order in which they act; or one of
            these alone.

    Raises:
        UserError: an unknown name or field, or a value out of range.
    """
    listed = values if isinstance(values, list | tuple) else [values]
    return tuple(choose(SAMPLERS, value) for value in listed)


register_sampler(RepetitionPenaltySamplerConfig, "tfdl.inference.generation.samplers.repetition_penalty:build")
register_sampler(GreedySamplerConfig, "tfdl.inference.generation.samplers.greedy:build")
register_sampler(RandomSamplerConfig, "tfdl.inference.generation.samplers.temperature:build")
register_sampler(TopKSamplerConfig, "tfdl.inference.generation.samplers.top_k:build")
register_sampler(TopPSamplerConfig, "tfdl.inference.generation.samplers.top_p:build")
register_sampler(MinPSamplerConfig, "tfdl.inference.generation.samplers.min_p:build")
