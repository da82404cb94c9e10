"""The tokenizer of a published model, as one of tfdl's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import GPT2Tokenizer, HuggingFaceTokenizer, Tokenizer, fit_tokenizer
from tfdl.data.tokenizers.gpt2 import SpecialIds
from tfdl.data.tokenizers.huggingface_files import TOKENIZER_FILE, LibraryTokenizer, read_library_tokenizer
from tfdl.errors import UserError

# Settings of byte-pair encoding that change its results.
_PLAIN_MODEL = {"dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
_EMPTY = ("continuing_subword_prefix", "end_of_word_suffix")


@dataclass(frozen=True)
class ReadTokenizer:
    """A tokenizer, and how the model's texts begin and end."""

    tokenizer: Tokenizer
    config: Mapping[str, Any]
    """The section of a run's configuration."""
    adds_start: bool = False
    adds_end: bool = False


def read_tokenizer(
    folder: Path, model_type: str, vocab_size: int, end_id: int | None, pads_with_0: bool
) -> ReadTokenizer:
    """Reads a tokenizer. One that a TensorFlow graph can compute exactly becomes ``gpt2``, any other ``huggingface``.

    Args:
        folder: of the model.
        model_type: of the model; only GPT-2's vocab.json and merges.txt are enough without tokenizer.json.
        vocab_size: number of rows of the model's table of token vectors.
        end_id: the end token that config.json names.
        pads_with_0: whether the task fills up shorter texts with token 0.

    Raises:
        UserError: missing or damaged files, or a tokenizer of more tokens than the model has.
    """
    if not (folder / TOKENIZER_FILE).is_file() and model_type == "gpt2":
        config = {"name": "gpt2", "folder": str(folder)}
        tokenizer = fit_tokenizer(choose_tokenizer(config), ())
        _check_size(folder, tokenizer.vocab_size, vocab_size)
        if tokenizer.vocab_size == vocab_size:
            return ReadTokenizer(tokenizer, config)
        raise UserError(
            f"{str(folder)!r} has {tokenizer.vocab_size:,} tokens in its vocabulary, but the model has {vocab_size:,};"
            " the files do not belong together"
        )
    read = read_library_tokenizer(folder, end_id)
    _check_size(folder, read.vocab_size, vocab_size)
    if pads_with_0 and read.special_ids[0] != 0:
        raise UserError(f"{str(folder)!r} has the padding token {read.special_ids[0]}, expected 0")
    section: dict[str, Any] = {"name": "huggingface", "folder": str(folder)}
    if pads_with_0:
        section["pads_with_0"] = True
    byte_level = None if read.adds_end or read.vocab_size != vocab_size else as_byte_level(read)
    tokenizer = byte_level or HuggingFaceTokenizer(read.described, vocab_size, read.special_ids)
    return ReadTokenizer(tokenizer, section, read.adds_start, read.adds_end)


def as_byte_level(read: LibraryTokenizer) -> GPT2Tokenizer | None:
    """The same tokenizer with a form for a graph; None if it splits or normalizes texts in another way than GPT-2.

    Args:
        read: the content of tokenizer.json.
    """
    described = read.described
    model = described.get("model") or {}
    digits_alone = _digits_alone(described.get("pre_tokenizer"))
    added = described.get("added_tokens") or []
    is_plain = (
        model.get("type") == "BPE"
        and all(model.get(key, value) == value for key, value in _PLAIN_MODEL.items())
        and not any(model.get(key) for key in _EMPTY)
        and described.get("normalizer") is None
        and all(token.get("special") for token in added)
    )
    if not is_plain or digits_alone is None:
        return None
    ids = {**model["vocab"], **{token["content"]: token["id"] for token in added}}
    if sorted(ids.values()) != list(range(len(ids))):
        return None
    vocabulary = sorted(ids, key=ids.__getitem__)
    merges = []
    for pair in model["merges"]:
        left, right = pair.split(" ") if isinstance(pair, str) else pair
        merges.append((left, right))
    others = sorted({token["id"] for token in added} - {*read.special_ids})
    try:
        return GPT2Tokenizer(vocabulary, merges, digits_alone, SpecialIds(*read.special_ids, tuple(others)))
    except ValueError:
        return None


def _digits_alone(pre_tokenizer: Any) -> bool | None:
    """Whether each digit is a word; None if words are not GPT-2's."""
    steps = [pre_tokenizer]
    if isinstance(pre_tokenizer, dict) and pre_tokenizer.get("type") == "Sequence":
        steps = pre_tokenizer.get("pretokenizers") or []
    if not all(isinstance(step, dict) for step in steps):
        return None
    digits = [step for step in steps[:-1] if step.get("type") == "Digits" and step.get("individual_digits") is True]
    is_byte_level = bool(steps) and steps[-1].get("type") == "ByteLevel"
    if not is_byte_level or len(digits) != len(steps) - 1 or len(digits) > 1:
        return None
    last = steps[-1]
    if last.get("add_prefix_space", True) or not last.get("use_regex", True):
        return None
    return len(digits) == 1


def _check_size(folder: Path, tokens: int, rows: int) -> None:
    if tokens > rows:
        raise UserError(
            f"the tokenizer of {str(folder)!r} has {tokens:,} tokens, but the model only {rows:,}; the files do not"
            " belong together"
        )
