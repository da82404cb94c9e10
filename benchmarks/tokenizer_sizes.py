"""How many tokens each tokenizer makes of the embedded text, and how fast: the table of docs/tokenizers.md.

    python benchmarks/tokenizer_sizes.py

Each tokenizer learns from the training split of python_topics; the test split is tokenized. Speeds are the best of
several passes over the training split, in characters per second of processor time, in Python and in a graph. Prints a
Markdown table.
"""

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.config import choose_tokenizer
from tfdl.data.embedded.python_topics import read_topics, split_topics
from tfdl.data.tokenizers import fit_tokenizer

CONFIGS = {
    "byte": choose_tokenizer("byte"),
    "character": choose_tokenizer("character"),
    "word": choose_tokenizer("word"),
    "bpe, at most 1,000": choose_tokenizer({"name": "bpe", "vocab_size": 1_000}),
    "bpe, at most 8,000": choose_tokenizer("bpe"),
}
UNKNOWN_ID = 3
# The others can write every text.
WITH_UNKNOWN = ("character", "word")
PASSES = 7


def characters_in(texts: list[str]) -> int:
    """Returns the sum of the lengths."""
    return sum(map(len, texts))


def speed(texts: list[str], encode: Callable[[Any], object], in_graph: bool) -> str:
    """Measures a tokenizer.

    Args:
        texts: what is tokenized.
        encode: takes the texts, as a list or as a tensor.
        in_graph: whether it takes a tensor.

    Returns:
        Millions of characters per second, in the fastest of several passes.
    """
    inputs = tf.constant(texts) if in_graph else texts
    fastest = float("inf")
    for _ in range(PASSES):  # the first pass also fills the cache of words, or compiles
        start = time.process_time()
        encode(inputs)
        fastest = min(fastest, time.process_time() - start)
    return f"{characters_in(texts) / fastest / 1e6:.1f}"


def cells_of(config: Any, train: list[str], test: list[str]) -> list[str]:
    """Fits a tokenizer and returns the cells of its row.

    Args:
        config: the tokenizer.
        train: texts that it learns from, and that its speed is measured on.
        test: texts whose tokens are counted.
    """
    tokenizer = fit_tokenizer(config, train)
    ids = [token for row in tokenizer.encode_batch(test) for token in row.tolist()]
    unknown = "none"
    if config.name in WITH_UNKNOWN:
        unknown = f"{ids.count(UNKNOWN_ID) / len(ids):.1%}"
    encode_in_graph = tf.function(tokenizer.encode_in_graph, input_signature=[tf.TensorSpec([None], tf.string)])
    return [
        f"{tokenizer.vocab_size:,}",
        f"{len(ids):,}",
        f"{characters_in(test) / len(ids):.2f}",
        unknown,
        speed(train, tokenizer.encode_batch, in_graph=False),
        speed(train, encode_in_graph, in_graph=True),
    ]


def main() -> None:
    """Prints a row for each tokenizer."""
    topics = read_topics()
    names = split_topics(topics)
    train = [topics[name] for name in names["train"]]
    test = [topics[name] for name in names["test"]]
    print(f"train: {characters_in(train):,} characters; test: {characters_in(test):,}\n")
    print("| tokenizer | vocabulary | test tokens | characters a token | unknown | M characters/s | in a graph |")
    print("| --- " * 7 + "|")
    for label, config in CONFIGS.items():
        cells = " | ".join(cells_of(config, train, test))
        print(f"| {label} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
