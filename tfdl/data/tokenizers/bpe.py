"""Byte-pair encoding learned from the training texts."""

import json
from collections.abc import Iterable
from typing import Self

from tokenizers import Tokenizer as Trained
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from tfdl.config.tokenizers import BytePairTokenizerConfig
from tfdl.data.tokenizers.base import clean
from tfdl.data.tokenizers.byte_pair import BYTE_LETTERS, BytePairTokenizer


class BPETokenizer(BytePairTokenizer):
    """Tokens are padding, start and end; the 256 bytes; then merged pairs, each of which occurs twice or more."""

    name = "bpe"

    @classmethod
    def fit(cls, config: BytePairTokenizerConfig, texts: Iterable[str]) -> Self:
        """See ``Tokenizer.fit``; at most ``config.most_tokens`` tokens are learned."""
        trained = Trained(BPE())
        trained.pre_tokenizer = ByteLevel(add_prefix_space=False)
        trainer = BpeTrainer(
            vocab_size=config.most_tokens,
            min_frequency=2,
            special_tokens=["<pad>", "<start>", "<end>"],
            initial_alphabet=BYTE_LETTERS,
            show_progress=False,
        )
        trained.train_from_iterator(map(clean, texts), trainer)
        model = json.loads(trained.to_str())["model"]
        vocabulary = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return cls(vocabulary, [(left, right) for left, right in model["merges"]])
