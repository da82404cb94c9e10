"""Opens a run's data set of texts as tokens: the first step of every task of texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig
from tfdl.config.initial_checkpoint import tokenizer_of
from tfdl.data.opening import open_texts
from tfdl.data.texts import TextDataset, TextSplit
from tfdl.data.tfds.catalog import data_root
from tfdl.data.tokenizers import Tokenizer, fit_tokenizer, load_tokenizer
from tfdl.data.tokens.table import Column, token_table
from tfdl.errors import UserError
from tfdl.tasks.base_run import assets_of_inputs

TOKENIZER_FOLDER = "tokenizer"
"""The folder of the tokenizer, within a run's assets."""
# The folder of the tokens, within the folder of prepared data.
_TOKENS_FOLDER = "tfdl-tokens"


@dataclass(frozen=True)
class Tokenized:
    """The splits of a data set, as columns by role."""

    dataset: TextDataset
    tokenizer: Tokenizer
    splits: Mapping[str, Mapping[str, Column]]
    """``train``, ``validation`` and ``test``."""


def open_tokens(
    config: TrainConfig,
    roles: tuple[str, ...],
    assets: Path | None,
    data: Mapping[str, Any] | None = None,
    trained_names: Sequence[str] = (),
) -> Tokenized:
    """Opens the data set, learns the tokenizer from its training split, and tokenizes all splits.

    A run that starts from another run's weights has that run's tokenizer.

    Args:
        config: the run.
        roles: what a sample consists of, as for ``open_texts``.
        assets: the run's assets, if it has saved its tokenizer: the tokenizer is then loaded, not learned.
        data: splits that Python code passed, to be read in place of the data set.
        trained_names: the classes of a run that has begun before.
    """
    dataset = open_texts(config.dataset, roles, data, trained_names)
    known = assets_of_inputs(config, assets)
    if known is None:
        assert config.tokenizer is not None, "a task of texts has a tokenizer"
        tokenizer = fit_tokenizer(config.tokenizer, _texts(dataset.splits["train"], roles))
    else:
        tokenizer = load_tokenizer(known / TOKENIZER_FOLDER)
        if assets is None:
            _check_tokenizer(config, tokenizer.name)
    folder = data_root(config.dataset.data_dir) / _TOKENS_FOLDER
    splits = {name: token_table(split, roles, tokenizer, folder) for name, split in dataset.splits.items()}
    return Tokenized(dataset, tokenizer, splits)


def _check_tokenizer(config: TrainConfig, name: str) -> None:
    """Refuses another tokenizer than that of the weights.

    An imported run is configured with Hugging Face's tokenizer, which may have been read as one that tfdl computes.

    Args:
        config: of a run that starts from another run's weights.
        name: of the tokenizer of the weights.
    """
    assert config.initial_checkpoint is not None
    chosen = config.tokenizer
    if chosen is not None and chosen.name not in (name, tokenizer_of(config.initial_checkpoint)):
        raise UserError(f"tokenizer.name={chosen.name!r}, but the weights are for the tokenizer {name!r}; leave it out")


def _texts(split: TextSplit, roles: tuple[str, ...]) -> Iterator[str]:
    for row in split:
        for role in roles:
            if role != "label":
                yield str(row[role])
