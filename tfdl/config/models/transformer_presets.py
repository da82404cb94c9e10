"""The papers' Transformers."""

from typing import Any

from tfdl.config.models.base import Preset
from tfdl.config.models.transformer import TransformerConfig

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
_LLAMA = {
    "positions": "rotary",
    "normalization": "rms",
    "activation": "swiglu",
    "use_bias": False,
}


def _llama(name: str, parameters: int, source: str, vocab_size: int, **fields: Any) -> Preset:
    """A model of the Llama family. Its heads are tied to the table of token vectors unless the fields differ."""
    return Preset(name, TransformerConfig, source, parameters, {**_LLAMA, **fields}, {"vocab_size": vocab_size})


def _smollm2(name: str, parameters: int, **fields: Any) -> Preset:
    source = "Ben Allal et al. 2025, SmolLM2, arXiv:2502.02737"
    return _llama(name, parameters, source, 49152, rotary_base=100000.0, sequence_length=8192, **fields)


_SMALLER = "smaller than any in Vaswani et al. 2017, for trying things out"

TRANSFORMER_PRESETS = (
    _gpt("gpt-nano", 3, 3, 48, 2_546_400, _MINGPT),
    _gpt("gpt-micro", 4, 4, 128, 7_357_312, _MINGPT),
    _gpt("gpt-mini", 6, 6, 192, 12_515_520, _MINGPT),
    _gpt("gpt2", 12, 12, 768, 124_439_808, _GPT2),
    _gpt("gpt2-medium", 24, 16, 1024, 354_823_168, _GPT2),
    _gpt("gpt2-large", 36, 20, 1280, 774_030_080, _GPT2),
    _gpt("gpt2-xl", 48, 25, 1600, 1_557_611_200, _GPT2),
    _smollm2(
        "smollm2-135m", 134_515_008, num_layers=30, num_heads=9, num_key_value_heads=3, hidden_dim=576,
        intermediate_dim=1536,
    ),
    _smollm2(
        "smollm2-360m", 361_821_120, num_layers=32, num_heads=15, num_key_value_heads=5, hidden_dim=960,
        intermediate_dim=2560,
    ),
    _llama(
        "qwen2-0.5b", 494_032_768, "Yang et al. 2024, Qwen2, arXiv:2407.10671, table 1", 151_936, num_layers=24,
        num_heads=14, num_key_value_heads=2, hidden_dim=896, intermediate_dim=4864, rotary_base=1e6,
        sequence_length=32768, epsilon=1e-6, query_key_value_bias=True,
    ),
    _llama(
        "tinyllama-1.1b", 1_100_048_384, "Zhang et al. 2024, TinyLlama, arXiv:2401.02385, table 2", 32_000,
        num_layers=22, num_heads=32, num_key_value_heads=4, hidden_dim=2048, intermediate_dim=5632,
        sequence_length=2048, tie_embeddings=False,
    ),
    _llama(
        "llama-3.2-1b", 1_235_814_400, "Dubey et al. 2024, arXiv:2407.21783; the model card of Llama 3.2 1B", 128_256,
        num_layers=16, num_heads=32, num_key_value_heads=8, hidden_dim=2048, intermediate_dim=8192,
        rotary_base=500000.0, rotary_scaling="llama3", rotary_scaling_factor=32.0, sequence_length=131072,
    ),
    _llama(
        "mistral-7b", 7_241_732_096, "Jiang et al. 2023, Mistral 7B, arXiv:2310.06825, table 1", 32_000, num_layers=32,
        num_heads=32, num_key_value_heads=8, hidden_dim=4096, intermediate_dim=14336, sequence_length=32768,
        sliding_window=4096, tie_embeddings=False,
    ),
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
)  # fmt: skip
