"""A run's tokenizer as the files that transformers reads."""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors
from tokenizers import Tokenizer as Library

from tfdl.data.tokenizers import HuggingFaceTokenizer, Tokenizer
from tfdl.data.tokenizers.byte_pair import BytePairTokenizer
from tfdl.data.tokenizers.huggingface_files import TOKENIZER_FILE, TOKENIZER_SETTINGS


def write_tokenizer(folder: Path, tokenizer: Tokenizer, longest: int, *, adds_start: bool, adds_end: bool) -> bool:
    """Writes tokenizer.json and tokenizer_config.json.

    Args:
        folder: an existing folder.
        tokenizer: of the run.
        longest: most tokens of a text.
        adds_start: whether the model's texts begin with the start token.
        adds_end: whether they end with the end token.

    Returns:
        Whether the tokenizer has a counterpart there; otherwise nothing is written.
    """
    if isinstance(tokenizer, HuggingFaceTokenizer):
        library = Library.from_str(json.dumps(tokenizer.described))
    elif isinstance(tokenizer, BytePairTokenizer):
        library = _byte_pairs(tokenizer, adds_start, adds_end)
    else:
        return False
    library.save(str(folder / TOKENIZER_FILE))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": library.id_to_token(tokenizer.start_id),
        "eos_token": library.id_to_token(tokenizer.end_id),
        "pad_token": library.id_to_token(tokenizer.pad_id),
        "model_max_length": longest,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / TOKENIZER_SETTINGS).write_text(f"{text}\n", encoding="utf-8")
    return True


def _byte_pairs(tokenizer: BytePairTokenizer, adds_start: bool, adds_end: bool) -> Library:
    vocabulary = tokenizer.vocabulary
    ids = {token: number for number, token in enumerate(vocabulary)}
    library = Library(models.BPE(ids, tokenizer.merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.pre_tokenizer = byte_level
    if tokenizer.digits_alone:
        library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    library.decoder = decoders.ByteLevel()
    special = [vocabulary[number] for number in sorted(tokenizer.special_ids)]
    library.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    around = _around(vocabulary, tokenizer, adds_start, adds_end)
    if around is not None:
        library.post_processor = around
    return library


def _around(vocabulary: list[str], tokenizer: Tokenizer, adds_start: bool, adds_end: bool) -> Any:
    """The step that adds the tokens before and after a text; None without any."""
    numbers = []
    template = "$A"
    if adds_start:
        numbers.append(tokenizer.start_id)
        template = f"{vocabulary[tokenizer.start_id]} {template}"
    if adds_end:
        numbers.append(tokenizer.end_id)
        template = f"{template} {vocabulary[tokenizer.end_id]}"
    if not numbers:
        return None
    tokens = [(vocabulary[number], number) for number in numbers]
    return processors.TemplateProcessing(single=template, special_tokens=tokens)
