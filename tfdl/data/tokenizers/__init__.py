"""Text to token ids and back, the same in Python and in a TensorFlow graph; learned from texts, saved with a run."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "BPETokenizer": "tfdl.data.tokenizers.bpe",
    "ByteTokenizer": "tfdl.data.tokenizers.byte",
    "CharacterTokenizer": "tfdl.data.tokenizers.character",
    "GPT2Tokenizer": "tfdl.data.tokenizers.gpt2",
    "HuggingFaceTokenizer": "tfdl.data.tokenizers.huggingface",
    "Tokenizer": "tfdl.data.tokenizers.base",
    "TokenizerGraph": "tfdl.data.tokenizers.base",
    "WordTokenizer": "tfdl.data.tokenizers.word",
    "fit_tokenizer": "tfdl.data.tokenizers.registry",
    "load_tokenizer": "tfdl.data.tokenizers.registry",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.data.tokenizers.base import Tokenizer as Tokenizer
    from tfdl.data.tokenizers.base import TokenizerGraph as TokenizerGraph
    from tfdl.data.tokenizers.bpe import BPETokenizer as BPETokenizer
    from tfdl.data.tokenizers.byte import ByteTokenizer as ByteTokenizer
    from tfdl.data.tokenizers.character import CharacterTokenizer as CharacterTokenizer
    from tfdl.data.tokenizers.gpt2 import GPT2Tokenizer as GPT2Tokenizer
    from tfdl.data.tokenizers.huggingface import HuggingFaceTokenizer as HuggingFaceTokenizer
    from tfdl.data.tokenizers.registry import fit_tokenizer as fit_tokenizer
    from tfdl.data.tokenizers.registry import load_tokenizer as load_tokenizer
    from tfdl.data.tokenizers.word import WordTokenizer as WordTokenizer


__getattr__ = lazy_names(__name__, _PUBLIC)
