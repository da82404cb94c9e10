"""Small models with random weights, saved by transformers as models are published."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WIDTH = 32
POSITIONS = 24
SMALL = {"hidden_size": WIDTH, "intermediate_size": 44, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA = {**SMALL, "max_position_embeddings": POSITIONS, "bos_token_id": 0, "eos_token_id": 0}
ROTARY_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
ROTARY_YARN = {
    "rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 512,
}  # fmt: skip

# Texts that tokenizers are known to treat differently.
HARD = (
    "",
    " ",
    "  two spaces,   three",
    "a\tb\n\nc \n d\r\n",
    "don't we'll I'M it's 'tis ' s",
    "1234567 3.14 ½ ² ٣٤ 1st",
    "naïve café é Å ﬁ Straße İstanbul",
    "日本語のテキスト。中文 한국어",
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪 🙂text",
    "שלום עולם مرحبا بالعالم",
    "zero\u200bwidth no\u00a0break \u3000ideographic",
    "<|endoftext|> <s> </s> [CLS] [SEP] [PAD] [MASK] <unk>",
    "\x00 control \x1b[0m \x7f",
    "ＡＢＣ ａｂｃ Ⅷ ①",
    "lone \ud800 surrogate",
    "snake_case CamelCase http://example.org/?a=1&b=2 #!$%",
    "ⱥ ẞ ǆ Ω Å \u0130i\u0307",
    "hello hello world worlds",
    "rare bytes \x04\x06 \U000c0000 in\x04words",
)
CORPUS = [text.replace("\ud800", "") for text in HARD if "<|" not in text and "rare" not in text] * 3


def randomize(model: Any, seed: int = 0) -> Any:
    """Sets every weight to random values large enough that swapping two of them changes the result."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in [*model.named_parameters(), *model.named_buffers()]:
            if not weight.is_floating_point() or "inv_freq" in name:
                continue
            scale = 0.3 if weight.ndim == 1 else 1 / np.sqrt(np.prod(weight.shape[1:]))
            value = random.normal(size=tuple(weight.shape)) * scale
            if weight.ndim == 1 and ("norm" in name.lower() or ".ln_" in name or "var" in name):
                is_scale = "bias" not in name and "mean" not in name
                value = np.abs(value) + 0.5 if "var" in name else value + is_scale
            weight.copy_(torch.from_numpy(value))
    return model.eval()


def byte_level(vocab_size: int = 400, *, digits_alone: bool = False) -> Tokenizer:
    """A tokenizer like GPT-2's; or with ``digits_alone`` like SmolLM2's, which also lacks rare bytes."""
    tokenizer = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = last
    if digits_alone:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), last])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_start|>"],
        initial_alphabet=[] if digits_alone else pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def with_byte_fallback() -> Tokenizer:
    """A tokenizer like Llama 2's: spaces as U+2581, unknown characters as bytes, a start token before a text."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *"▁abcdehlorstw", "ll", "▁w"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [("l", "l"), ("▁", "w")], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def like_llama3() -> Tokenizer:
    """A tokenizer that splits words by another pattern than GPT-2's."""
    tokenizer = byte_level()
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+"
    from tokenizers import Regex

    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    start = tokenizer.token_to_id("<|im_start|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", start)]
    )
    return tokenizer


WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789.,'!?", *"日本語中文",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"), "hello", "world", "##s", "cafe", "naive",
    "strasse", "don", "we", "text",
]  # fmt: skip


def save_language_model(
    folder: Path, model: Any, tokenizer: Tokenizer, max_shard_size: str = "50GB", **tokens: str
) -> Path:
    """Saves a model with its tokenizer."""
    model.save_pretrained(folder, max_shard_size=max_shard_size)
    save_tokenizer(folder, tokenizer, **tokens)
    return folder


def save_tokenizer(folder: Path, tokenizer: Tokenizer, **tokens: str) -> None:
    """Saves a tokenizer; ``tokens`` are the special ones, such as ``eos_token``."""
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    fast.save_pretrained(folder)


def save_wordpiece(folder: Path, words: list[str] | None = None) -> None:
    """Saves BERT's vocabulary, as old models have it."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "vocab.txt").write_text("\n".join(words or WORDS) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}), encoding="utf-8")


def gpt2(**changes: Any) -> Any:
    """A small GPT-2."""
    fields = {"vocab_size": 400, "n_positions": POSITIONS, "n_embd": WIDTH, "n_layer": 2, "n_head": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return randomize(transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**fields, **ends, **changes})))


def llama(**changes: Any) -> Any:
    """A small Llama with grouped queries."""
    config = transformers.LlamaConfig(**{"vocab_size": 400, "num_key_value_heads": 2, **LLAMA, **changes})
    return randomize(transformers.LlamaForCausalLM(config))


def mistral(**changes: Any) -> Any:
    """A small Mistral with a window of 5 tokens, and heads that are wider than WIDTH / 4."""
    fields = {"vocab_size": 400, "num_key_value_heads": 1, "sliding_window": 5, "head_dim": 12}
    config = transformers.MistralConfig(**{**LLAMA, **fields, **changes})
    config._attn_implementation = "eager"
    return randomize(transformers.MistralForCausalLM(config))


def qwen2(**changes: Any) -> Any:
    """A small Qwen2 with biases of queries, keys and values."""
    config = transformers.Qwen2Config(**{"vocab_size": 400, "num_key_value_heads": 2, **LLAMA, **changes})
    return randomize(transformers.Qwen2ForCausalLM(config))


def bert(**changes: Any) -> Any:
    """A small BERT classifier of three classes."""
    labels = {"id2label": {0: "bad", 1: "fine", 2: "good"}, "label2id": {"bad": 0, "fine": 1, "good": 2}}
    fields = {"vocab_size": len(WORDS), "max_position_embeddings": POSITIONS, **labels}
    config = transformers.BertConfig(**{**SMALL, **fields, **changes})
    return randomize(transformers.BertForSequenceClassification(config))


def vit(**changes: Any) -> Any:
    """A small ViT of three classes."""
    labels = {"id2label": {0: "cat", 1: "dog", 2: "owl"}, "label2id": {"cat": 0, "dog": 1, "owl": 2}}
    config = transformers.ViTConfig(**{**SMALL, "image_size": 16, "patch_size": 4, **labels, **changes})
    return randomize(transformers.ViTForImageClassification(config))


def resnet(**changes: Any) -> Any:
    """A small residual network of three classes."""
    labels = {"id2label": {0: "cat", 1: "dog", 2: "owl"}, "label2id": {"cat": 0, "dog": 1, "owl": 2}}
    fields = {"embedding_size": 4, "hidden_sizes": [16, 32], "depths": [1, 2]}
    config = transformers.ResNetConfig(**{**fields, **labels, **changes})
    return randomize(transformers.ResNetForImageClassification(config))


def write_preprocessor(folder: Path, side: int) -> None:
    """Saves preprocessor_config.json with mean and deviation."""
    values = {
        "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.5, 0.75],
        "size": {"height": side, "width": side}, "rescale_factor": 1 / 255,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(values), encoding="utf-8")
