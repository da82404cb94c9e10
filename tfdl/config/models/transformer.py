"""The configuration of Transformers, and the papers' models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tfdl.config.fields import check_types, require, require_at_least, require_fraction
from tfdl.config.models.base import ModelConfig, Preset


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
    """Number of attention heads; each has the width hidden_dim / num_heads."""
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
        require_at_least(self, "model.", 1, *names, "patch_size")
        self._check_low_rank()
        require_fraction(self, "model.", "dropout", "attention_dropout")
        require(0 < self.epsilon < 1, "model.epsilon", self.epsilon, "a small number above 0, such as 1e-5")
        fits = self.patch_size is None or self.architecture == "encoder"
        require(fits, "model.patch_size", self.patch_size, "none, except with model.architecture=encoder")
        self._check_heads()

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
        expected = f"a multiple of model.num_heads={heads}, such as {next_multiple}"
        require(width % heads == 0, "model.hidden_dim", width, expected)
        expected = f"a divisor of model.num_heads={heads}"
        require(heads % key_value_heads == 0, "model.num_key_value_heads", key_value_heads, expected)
        head_width = width // heads
        fits_rotary = self.positions != "rotary" or head_width % 2 == 0
        expected = f"heads of an even width for model.positions=rotary, not of {width} / {heads} = {head_width}"
        require(fits_rotary, "model.hidden_dim", width, expected)
        fits_sinusoidal = self.positions != "sinusoidal" or width % 2 == 0
        require(fits_sinusoidal, "model.hidden_dim", width, "an even width for model.positions=sinusoidal")


_GPT2 = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners, table 2"
_MINGPT = "a size of minGPT (https://github.com/karpathy/minGPT), for trying things out"


def _gpt(name: str, num_layers: int, num_heads: int, hidden_dim: int, parameters: int, source: str) -> Preset:
    return Preset(
        name,
        TransformerConfig,
        source,
        parameters,
        fields={
            "num_layers": num_layers, "num_heads": num_heads, "hidden_dim": hidden_dim, "sequence_length": 1024,
        },
        data={"vocab_size": 50257},
    )  # fmt: skip


def _bert(name: str, num_layers: int, num_heads: int, hidden_dim: int, parameters: int) -> Preset:
    return Preset(
        name,
        TransformerConfig,
        "Devlin et al. 2018, arXiv:1810.04805; small sizes: Turc et al. 2019, arXiv:1908.08962; no segments",
        parameters,
        fields={
            "architecture": "encoder", "num_layers": num_layers, "num_heads": num_heads, "hidden_dim": hidden_dim,
            "sequence_length": 512, "norm_first": False, "activation": "gelu_exact", "pooling": "first",
            "dropout": 0.1, "attention_dropout": 0.1, "epsilon": 1e-12,
        },
        data={"vocab_size": 30522, "num_classes": 2},
    )  # fmt: skip


_VIT = "Dosovitskiy et al. 2020, arXiv:2010.11929; small sizes: Touvron et al. 2020, arXiv:2012.12877"


def _vit(name: str, num_layers: int, num_heads: int, hidden_dim: int, parameters: int, **other: Any) -> Preset:
    data = other.pop("data", {"input_shape": (224, 224, 3), "num_classes": 1000})
    return Preset(
        name,
        TransformerConfig,
        other.pop("source", _VIT),
        parameters,
        fields={
            "architecture": "encoder", "num_layers": num_layers, "num_heads": num_heads, "hidden_dim": hidden_dim,
            "patch_size": 16, "activation": "gelu_exact", "pooling": "first", "epsilon": 1e-6, **other,
        },
        data=data,
    )  # fmt: skip


def _vaswani(
    name: str, num_layers: int, num_heads: int, hidden_dim: int, dropout: float, parameters: int, source: str
) -> Preset:
    return Preset(
        name,
        TransformerConfig,
        source,
        parameters,
        fields={
            "architecture": "encoder-decoder", "num_layers": num_layers, "num_heads": num_heads,
            "hidden_dim": hidden_dim, "sequence_length": 512, "norm_first": False, "activation": "relu",
            "positions": "sinusoidal", "scale_embeddings": True, "dropout": dropout,
        },
        data={"vocab_size": 37000},
    )  # fmt: skip


_VASWANI = "Vaswani et al. 2017, arXiv:1706.03762, table 3"
_SMALLER = "smaller than any in Vaswani et al. 2017, for trying things out"

TRANSFORMER_PRESETS = (
    _gpt("gpt-nano", 3, 3, 48, 2_546_400, _MINGPT),
    _gpt("gpt-micro", 4, 4, 128, 7_357_312, _MINGPT),
    _gpt("gpt-mini", 6, 6, 192, 12_515_520, _MINGPT),
    _gpt("gpt2", 12, 12, 768, 124_439_808, _GPT2),
    _gpt("gpt2-medium", 24, 16, 1024, 354_823_168, _GPT2),
    _gpt("gpt2-large", 36, 20, 1280, 774_030_080, _GPT2),
    _gpt("gpt2-xl", 48, 25, 1600, 1_557_611_200, _GPT2),
    _bert("bert-tiny", 2, 2, 128, 4_385_922),
    _bert("bert-mini", 4, 4, 256, 11_170_562),
    _bert("bert-small", 4, 8, 512, 28_763_650),
    _bert("bert-medium", 8, 8, 512, 41_373_186),
    _bert("bert-base", 12, 12, 768, 109_482_242),
    _vit(
        "vit-nano",
        4,
        4,
        64,
        208_074,
        patch_size=4,
        data={"input_shape": (32, 32, 3), "num_classes": 10},
        source="smaller than any in a paper, for images of 24 to 64 pixels",
    ),
    _vit("vit-tiny", 12, 3, 192, 5_717_416),
    _vit("vit-small", 12, 6, 384, 22_050_664),
    _vit("vit-base", 12, 12, 768, 86_567_656),
    _vaswani("transformer-tiny", 2, 4, 128, 0.1, 5_661_696, _SMALLER),
    _vaswani("transformer-small", 4, 4, 256, 0.1, 16_844_800, _SMALLER),
    _vaswani("transformer-base", 6, 8, 512, 0.1, 63_082_496, _VASWANI),
    _vaswani("transformer-big", 6, 16, 1024, 0.3, 214_245_376, _VASWANI),
)
