"""The temperature of the distribution that tokens are drawn from."""

from typing import Any

from tfdl.config.samplers import RandomSamplerConfig
from tfdl.inference.generation.samplers.sampler import Sampler


class Temperature(Sampler):
    r"""Divides the scores by a temperature $T$ (Ackley, Hinton and Sejnowski, 1985).

    $$p_i \propto e^{s_i / T}$$

    Args:
        temperature: $T$, a number, or a scalar of the scores' dtype.
    """

    def __init__(self, temperature: Any):
        self.temperature = temperature

    def __call__(self, scores: Any, history: Any) -> Any:  # noqa: ARG002
        return scores / self.temperature


def build(config: RandomSamplerConfig) -> Temperature:
    """The sampler of a configuration."""
    return Temperature(config.temperature)
