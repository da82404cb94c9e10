"""Reads the tokenizer files of a published model."""

import json
import math
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tfdl.errors import UserError, in_one_line
from tfdl.json_files import read_json_object

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"
# Tokens before and after a text.
_MOST_ADDED = 16
# Where special tokens are named; the second one is asked first.
_SETTINGS_FILES = ("special_tokens_map.json", TOKENIZER_SETTINGS)
_WORDPIECE_FILE = "vocab.txt"
# The largest tokenizer.json that is read; Llama 3's has 17 MB.
_MOST_BYTES = 128 * 2**20
# A vocabulary has gaps of some hundred numbers. A single large number would be a table of that many rows.
_MOST_IDS_PER_TOKEN = 2
_MORE_IDS = 100_000
# What makes the tokens of a text longer or shorter, by a number in the file. tfdl pads and cuts by itself.
_LENGTHS = ("padding", "truncation")
# The steps that replace characters by texts, the keys of those texts, and the bound for all steps together.
_REPLACING = ("normalizer", "pre_tokenizer", "decoder")
_REPLACEMENTS = ("content", "prepend", "replacement")
_MOST_TIMES_LONGER = 256
# BERT's special tokens: padding, unknown, start, end and mask.
_BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class LibraryTokenizer:
    """What the files of a model describe."""

    described: dict[str, Any]
    """The content of tokenizer.json."""
    vocab_size: int
    special_ids: tuple[int, int, int]
    """Padding, start and end."""
    adds_start: bool
    """Whether the model's texts begin with the start token."""
    adds_end: bool
    """Whether they end with the end token."""


def read_library_tokenizer(folder: Path, end_id: int | None = None) -> LibraryTokenizer:
    """Reads tokenizer.json, or BERT's vocab.txt, and the special tokens that tokenizer_config.json names.

    Args:
        folder: of the model.
        end_id: the end token that config.json names, for a tokenizer whose files name none.

    Raises:
        UserError: a file is missing or cannot be used.
    """
    settings: dict[str, Any] = {}
    for name in _SETTINGS_FILES:
        if (folder / name).is_file():
            settings |= read_object(folder / name)
    if (folder / TOKENIZER_FILE).is_file():
        described = read_object(folder / TOKENIZER_FILE)
    elif (folder / _WORDPIECE_FILE).is_file():
        described = _describe_wordpiece(folder / _WORDPIECE_FILE, settings)
    else:
        raise UserError(_missing(folder))
    path = str(folder / TOKENIZER_FILE)
    library = library_of(described, path)
    described = json.loads(library.to_str())  # old files leave out what is implied, such as the model's type
    if described["model"]["type"] == "WordPiece":
        settings = {"pad_token": "[PAD]", **settings}  # old files do not name it
    added = _added_to_nothing(library, path)
    adds_start = len(added) > 0
    adds_end = len(added) > 1
    end = added[-1] if adds_end else _named(library, settings, "eos_token", end_id)
    start = added[0] if adds_start else _named(library, settings, "bos_token", end)
    if end is None:
        end = _named(library, settings, "sep_token", start)
    if end is None or start is None:
        raise UserError(f"{str(folder)!r} names no end of a text, expected eos_token in {_SETTINGS_FILES[-1]}")
    pad = _named(library, settings, "pad_token", end)
    # Some vocabularies have gaps.
    ids = library.get_vocab(with_added_tokens=True).values()
    vocab_size = max(ids, default=-1) + 1
    if vocab_size > _MOST_IDS_PER_TOKEN * len(ids) + _MORE_IDS:
        raise UserError(f"{path!r} has token number {vocab_size - 1:,} among {len(ids):,} tokens; download it anew")
    return LibraryTokenizer(described, vocab_size, (pad, start, end), adds_start, adds_end)


def library_of(described: dict[str, Any], path: str) -> Tokenizer:
    """The library's tokenizer, without padding and cutting.

    Args:
        described: the content of tokenizer.json.
        path: of the file, for messages.

    Raises:
        UserError: the library cannot use it.
    """
    described = {key: value for key, value in described.items() if key not in _LENGTHS}
    factor = _longest_replacement([described.get(key) for key in _REPLACING])
    if factor > _MOST_TIMES_LONGER:
        raise UserError(
            f"{path!r} makes a text up to {min(factor, 10**9):,} times as long, expected at most"
            f" {_MOST_TIMES_LONGER:,} times; download it anew"
        )
    with user_errors_of_library(path):
        return Tokenizer.from_str(json.dumps(described))


def _longest_replacement(steps: Any) -> int:
    """How much longer a text may become, when each character is replaced in every step."""
    if isinstance(steps, list):
        return math.prod(map(_longest_replacement, steps))
    if not isinstance(steps, dict):
        return 1
    lengths = [len(value) for key, value in steps.items() if key in _REPLACEMENTS and isinstance(value, str)]
    return max([1, *lengths]) * math.prod(_longest_replacement(value) for value in steps.values())


@contextmanager
def user_errors_of_library(path: str) -> Iterator[None]:
    """Turns the library's errors into ``UserError``. In Rust, some are panics, which Python does not call exceptions.

    Args:
        path: of the file, for messages.
    """
    try:
        yield
    except BaseException as error:
        # The library raises no narrower class than Exception, and its panics have a class that cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UserError(in_one_line(f"{path!r} cannot be used: {error}")) from error


def _added_to_nothing(library: Tokenizer, path: str) -> list[int]:
    """The tokens that the tokenizer adds to every text."""
    with user_errors_of_library(path):
        ids: list[int] = library.encode("", add_special_tokens=True).ids
    if len(ids) > _MOST_ADDED:
        raise UserError(f"{path!r} adds {len(ids):,} tokens to a text, expected a start and an end; download it anew")
    return ids


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        UserError: no such file, a file that is too large, or another content.
    """
    return read_json_object(path, "download it anew", _MOST_BYTES)


def _named(library: Tokenizer, settings: dict[str, Any], key: str, default: int | None) -> Any:
    """The id of a special token that the settings name."""
    token = settings.get(key)
    if isinstance(token, dict):
        token = token.get("content")
    number = library.token_to_id(token) if isinstance(token, str) else None
    return default if number is None else number


def _describe_wordpiece(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """BERT's tokenizer from the words of vocab.txt, one a line (Devlin et al., 2018)."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {str(path)!r} ({error}); expected BERT's vocabulary, a word a line") from error
    words = [line.rstrip("\r") for line in lines]
    if words and not words[-1]:
        words.pop()
    ids = {word: number for number, word in enumerate(words)}
    missing = [token for token in _BERT_TOKENS if token not in ids]
    if missing:
        raise UserError(f"{str(path)!r} has no {', '.join(missing)}, expected BERT's vocabulary, a word a line")
    is_lower_case = bool(settings.get("do_lower_case", True))
    library = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    library.add_special_tokens([AddedToken(token, special=True) for token in _BERT_TOKENS])
    library.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(settings.get("tokenize_chinese_chars", True)),
        strip_accents=settings.get("strip_accents"),
        lowercase=is_lower_case,
    )
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    library.decoder = decoders.WordPiece(prefix="##")
    described: dict[str, Any] = json.loads(library.to_str())
    return described


def _missing(folder: Path) -> str:
    if (folder / "tokenizer.model").is_file():
        command = f"import transformers as t; t.AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained('NEW')"
        return (
            f"{str(folder)!r} has tokenizer.model only; make {TOKENIZER_FILE} of it: python -c {shlex.quote(command)}"
        )
    return f"{str(folder)!r} has no tokenizer, expected {TOKENIZER_FILE}, vocab.json and merges.txt, or vocab.txt"
