"""The configuration of Transformers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.config.models.base import ModelConfig


@dataclass(frozen=True)
class TransformerConfig(ModelConfig):
    """Blocks of attention and feed-forward layers; by default a small GPT that trains in minutes on a CPU."""

    name: ClassVar[str] = "transformer"
    example_data: ClassVar[Mapping[str, Any]] = {"vocab_size": 65}
    task_fields: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "text-classification": {
            "architecture": "encoder", "num_layers": 2, "sequence_length": 256, "dropout": 0.1,
        },
        "image-classification": {"architecture": "encoder", "patch_size": 4},
        "translation": {"architecture": "encoder-decoder", "num_layers": 2},
    }  # fmt: skip

    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "language-modeling": {
            "epochs": 9,
            "batch_size": 16,
            "xla": "on",
            "optimizer": {
                "name": "adamw",
                "learning_rate": 0.003,
                "schedule": {"name": "cosine", "final_fraction": 0.1},
                "warmup_epochs": 0.5,
                "beta_2": 0.99,
                "weight_decay": 0.1,
                "clip_norm": 1.0,
            },
        },
        "text-classification": {
            "epochs": 8,
            "optimizer": {"name": "adam", "schedule": "cosine", "warmup_epochs": 1, "clip_norm": 1.0},
        },
        "translation": {
            "epochs": 4,
            "optimizer": {
                "name": "adam",
                "learning_rate": 0.001,
                "schedule": "cosine",
                "warmup_epochs": 0.5,
                "clip_norm": 1.0,
            },
        },
    }

    architecture: Literal["decoder", "encoder", "encoder-decoder"] = "decoder"
    """What the model predicts: the next token (GPT), the class of a sequence or an image (BERT, ViT), or a sequence
    from another one (translation)."""
    num_layers: int = 4
    """Number of blocks; an encoder-decoder has this many in the encoder and in the decoder."""
    hidden_dim: int = 128
    """Width of a token's vector."""
    num_heads: int = 4
    """Number of attention heads."""
    head_dim: int | None = None
    """Width of a head; by default hidden_dim / num_heads."""
    num_key_value_heads: int | None = None
    """Number of heads of keys and values, each shared by a group of query heads (grouped-query attention); by default
    num_heads."""
    intermediate_dim: int | None = None
    """Width between the two layers of a feed-forward layer; by default 4 * hidden_dim."""
    sequence_length: int = 64
    """Maximum number of tokens in a sequence."""
    dropout: float = 0.0
    """Probability that a value of an embedding or of a sublayer's output is dropped while training."""
    attention_dropout: float = 0.0
    """Probability that an attention weight is dropped while training."""
    activation: Literal["gelu", "gelu_exact", "relu", "swiglu"] = "gelu"
    """Activation of the feed-forward layers; gelu is GPT-2's approximation, gelu_exact the exact function of BERT."""
    normalization: Literal["layer", "rms"] = "layer"
    """Layer normalization, or RMS normalization."""
    norm_first: bool = True
    """Whether each sublayer's input is normalized (GPT-2), or the sum of its input and output (Vaswani et al.,
    2017)."""
    positions: Literal["learned", "sinusoidal", "rotary"] = "learned"
    """How positions enter the model: added to token vectors (learned, sinusoidal), or as rotations of queries and keys
    (rotary)."""
    rotary_base: float = 10000.0
    """Base of the rotary positions: larger values distinguish positions over longer distances."""
    rotary_scaling: Literal["none", "linear", "llama3", "yarn"] = "none"
    """How rotary positions are stretched to texts that are longer than those of the first training: all rotations are
    slowed down (linear, Chen et al., 2023), or the slow ones only (llama3; yarn, Peng et al., 2023)."""
    rotary_scaling_factor: float = 1.0
    """By how much rotary_scaling slows rotations down."""
    rotary_low_frequency_factor: float = 1.0
    """For llama3: rotations with fewer turns than this in rotary_original_length are slowed down by the whole
    factor."""
    rotary_high_frequency_factor: float = 4.0
    """For llama3: rotations with more turns than this in rotary_original_length are not slowed down."""
    rotary_original_length: int = 8192
    """For llama3 and yarn: number of tokens in the texts of the first training."""
    sliding_window: int | None = None
    """Number of tokens that a position of a decoder attends to: itself and those just before it; by default all."""
    tie_embeddings: bool = True
    """Whether the table of token vectors also computes the logits."""
    patch_size: int | None = None
    """Side of the square patches that images are cut into, in pixels; None for tokens."""
    pooling: Literal["mean", "first"] = "mean"
    """What an encoder classifies by: the mean over tokens or patches, or the first position. That is a text's first
    token followed by a dense layer (BERT), or a learned vector before an image's patches (ViT)."""
    scale_embeddings: bool = False
    """Whether token vectors are multiplied by the square root of their width (Vaswani et al., 2017)."""
    use_bias: bool = True
    """Whether dense layers and layer normalization have biases."""
    query_key_value_bias: bool | None = None
    """Whether the dense layer of queries, keys and values has a bias; by default use_bias."""
    num_segments: int = 0
    """Number of segments of a text, each with a learned vector that is added to its tokens' (BERT); 0 for none."""
    separator_id: int | None = None
    """The token that ends a segment of a text; by default all tokens are of the first segment."""
    epsilon: float = 1e-5
    """Added to the variance or the mean square."""
    lora_rank: int | None = None
    """Rank of the updates that fine-tuning adds to the dense kernels of the blocks (LoRA); None trains all weights."""
    lora_alpha: float | None = None
    """The updates are scaled by lora_alpha / lora_rank; by default lora_rank, which is a scale of 1."""

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """The task of the architecture."""
        if self.architecture == "decoder":
            return ("language-modeling",)
        if self.architecture == "encoder-decoder":
            return ("translation",)
        return ("text-classification",) if self.patch_size is None else ("image-classification",)

    def __post_init__(self) -> None:
        check_types(self, "model.")
        names = ("num_layers", "hidden_dim", "num_heads", "num_key_value_heads", "intermediate_dim", "sequence_length")
        require_at_least(
            self, "model.", 1, *names, "patch_size", "head_dim", "sliding_window", "rotary_original_length"
        )
        require_at_least(self, "model.", 0, "num_segments", "separator_id")
        self._check_low_rank()
        require_fraction(self, "model.", "dropout", "attention_dropout")
        require(0 < self.epsilon < 1, "model.epsilon", self.epsilon, "a small number above 0, such as 1e-5")
        fits = self.patch_size is None or self.architecture == "encoder"
        require(fits, "model.patch_size", self.patch_size, "none, except with model.architecture=encoder")
        is_decoder = self.architecture == "decoder"
        require(
            self.sliding_window is None or is_decoder,
            "model.sliding_window",
            self.sliding_window,
            "none, except with model.architecture=decoder",
        )
        reads_segments = self.architecture == "encoder" and self.patch_size is None
        expected = "0, except for texts with model.architecture=encoder"
        require(self.num_segments == 0 or reads_segments, "model.num_segments", self.num_segments, expected)
        self._check_heads()
        self._check_rotary()

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_dim // self.num_heads

    def check_length(self, name: str, length: int) -> None:
        fits = self.positions != "learned" or length <= self.sequence_length
        expected = (
            f"at most the model's {self.sequence_length} learned positions; ask for fewer tokens, or build it with"
            f" model.sequence_length={length}"
        )
        require(fits, name, length, expected)

    def _check_low_rank(self) -> None:
        if self.lora_rank is not None:
            fits = 1 <= self.lora_rank <= self.hidden_dim
            require(fits, "model.lora_rank", self.lora_rank, f"from 1 to model.hidden_dim={self.hidden_dim}")
        if self.lora_alpha is not None:
            require(self.lora_rank is not None, "model.lora_alpha", self.lora_alpha, "nothing without model.lora_rank")
            require(self.lora_alpha > 0, "model.lora_alpha", self.lora_alpha, "a positive number")

    def _check_heads(self) -> None:
        width = self.hidden_dim
        heads = self.num_heads
        key_value_heads = self.num_key_value_heads or heads
        next_multiple = -(-width // heads) * heads
        expected = f"a multiple of model.num_heads={heads}, such as {next_multiple}, or model.head_dim"
        require(self.head_dim is not None or width % heads == 0, "model.hidden_dim", width, expected)
        expected = f"a divisor of model.num_heads={heads}"
        require(heads % key_value_heads == 0, "model.num_key_value_heads", key_value_heads, expected)
        head_width = self.head_width
        fits_rotary = self.positions != "rotary" or head_width % 2 == 0
        if self.head_dim is None:
            expected = f"heads of an even width for model.positions=rotary, not of {width} / {heads} = {head_width}"
            require(fits_rotary, "model.hidden_dim", width, expected)
        require(fits_rotary, "model.head_dim", self.head_dim, "an even width for model.positions=rotary")
        fits_sinusoidal = self.positions != "sinusoidal" or width % 2 == 0
        require(fits_sinusoidal, "model.hidden_dim", width, "an even width for model.positions=sinusoidal")

    def _check_rotary(self) -> None:
        require(1 < self.rotary_base < math.inf, "model.rotary_base", self.rotary_base, "a number above 1")
        factor = self.rotary_scaling_factor
        require(1 <= factor < math.inf, "model.rotary_scaling_factor", factor, "a number of at least 1")
        low = self.rotary_low_frequency_factor
        high = self.rotary_high_frequency_factor
        expected = f"a number above model.rotary_low_frequency_factor={low}, which must be above 0"
        require(0 < low < high < math.inf, "model.rotary_high_frequency_factor", high, expected)
