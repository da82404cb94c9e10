"""The configuration of recurrent networks, and Zaremba et al.'s networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.config.models.base import ModelConfig, Preset


@dataclass(frozen=True)
class RNNConfig(ModelConfig):
    """Stacks of LSTM, GRU or plain recurrent layers on tokens, for language modeling or classification."""

    name: ClassVar[str] = "rnn"
    tasks: ClassVar[tuple[str, ...]] = ("language-modeling", "text-classification")
    example_data: ClassVar[Mapping[str, Any]] = {"vocab_size": 10_000}
    carries_state: ClassVar[bool] = True
    task_fields: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "text-classification": {
            "cell": "gru", "num_layers": 1, "units": 128, "bidirectional": True, "dropout": 0.4,
        },
    }  # fmt: skip

    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "language-modeling": {
            "epochs": 8,
            "batch_size": 20,
            "optimizer": {
                "name": "adam",
                "learning_rate": 0.004,
                "schedule": {"name": "cosine", "final_fraction": 0.1},
                "clip_norm": 1.0,
            },
        },
        "text-classification": {
            "epochs": 8,
            "optimizer": {"name": "adam", "learning_rate": 0.003, "schedule": "cosine", "clip_norm": 1.0},
        },
    }

    cell: Literal["lstm", "gru", "simple"] = "lstm"
    """What a step computes."""
    num_layers: int = 2
    """Number of stacked recurrent layers."""
    units: int = 200
    """Width of a state, for each direction."""
    embedding_dim: int | None = None
    """Width of a token's vector; by default ``units``."""
    bidirectional: bool = False
    """Whether each layer also runs from the end to the start; for classification only."""
    tie_embeddings: bool = False
    """Whether the table of token vectors also computes the logits of a language model; embedding_dim must then be
    units."""
    dropout: float = 0.0
    """Probability that a value is dropped before each layer and after the last (Zaremba et al., 2014)."""
    variational: bool = False
    """Whether dropout drops the same values at all steps of a sequence, and also drops values of the states (Gal and
    Ghahramani, 2016)."""
    init_scale: float | None = None
    """All weights are initialized uniformly between -init_scale and init_scale; by default each layer has its own
    initializers."""

    def __post_init__(self) -> None:
        check_types(self, "model.")
        require_at_least(self, "model.", 1, "num_layers", "units", "embedding_dim")
        require_fraction(self, "model.", "dropout")
        scale = self.init_scale
        require(scale is None or 0 < scale < 10, "model.init_scale", scale, "a number above 0, such as 0.1")
        width = self.embedding_dim or self.units
        expected = f"model.units={self.units}, since the outputs are compared with the embeddings"
        require(not self.tie_embeddings or width == self.units, "model.embedding_dim", width, expected)
        both = self.tie_embeddings and self.bidirectional
        require(
            not both, "model.tie_embeddings", True, "false with model.bidirectional=true, which has no next-token head"
        )


def _zaremba(name: str, units: int, dropout: float, init_scale: float, parameters: int) -> Preset:
    return Preset(
        name,
        RNNConfig,
        "Zaremba et al. 2014, arXiv:1409.2329, section 4.1",
        parameters,
        fields={"units": units, "dropout": dropout, "init_scale": init_scale},
        data={"vocab_size": 10_000},
    )


RNN_PRESETS = (
    _zaremba("lstm-small", 200, dropout=0.0, init_scale=0.1, parameters=4_651_600),
    _zaremba("lstm-medium", 650, dropout=0.5, init_scale=0.05, parameters=19_775_200),
    _zaremba("lstm-large", 1500, dropout=0.65, init_scale=0.04, parameters=66_022_000),
)
