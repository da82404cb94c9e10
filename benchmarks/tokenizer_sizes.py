"""What each tokenizer makes of the embedded text, and how fast: the table of docs/tokenizers.md.

    python benchmarks/tokenizer_sizes.py

Each learns from the training split of python_topics; the test split is tokenized. Speeds are the best of several
passes over the training split, in characters a second of processor time, in Python and in a graph. Prints a Markdown
table.
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


def speed(texts: list[str], encode: Callable[[Any], object], in_graph: bool) -> str:
    """Millions of characters a second."""
    best, given = float("inf"), tf.constant(texts) if in_graph else texts
    for _ in range(7):  # the first one also fills the cache of words, or compiles
        begin = time.process_time()
        encode(given)
        best = min(best, time.process_time() - begin)
    return f"{sum(map(len, texts)) / best / 1e6:.1f}"


def main() -> None:
    """Fits each tokenizer and prints its row."""
    topics = read_topics()
    names = split_topics(topics)
    train, test = ([topics[name] for name in names[split]] for split in ("train", "test"))
    print(f"train: {sum(map(len, train)):,} characters; test: {sum(map(len, test)):,}\n")
    print("| tokenizer | vocabulary | test tokens | characters a token | unknown | M characters/s | in a graph |")
    print("| --- " * 7 + "|")
    for label, config in CONFIGS.items():
        tokenizer = fit_tokenizer(config, train)
        ids = [token for row in tokenizer.encode_batch(test) for token in row.tolist()]
        unknown = f"{ids.count(3) / len(ids):.1%}" if config.name in ("character", "word") else "none"
        cells = [f"{tokenizer.vocab_size:,}", f"{len(ids):,}", f"{sum(map(len, test)) / len(ids):.2f}", unknown]
        encode = tf.function(tokenizer.encode_in_graph, input_signature=[tf.TensorSpec([None], tf.string)])
        cells += [speed(train, tokenizer.encode_batch, False), speed(train, encode, True)]
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
