"""Metrics of translations: of tokens that are given, and of texts that were decoded."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfdl.tasks.language_metrics import language_metrics


def token_metrics(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Loss for a token and perplexity (see ``language_metrics``), and the share of tokens that scored highest.

    Args:
        rows: ``loss``, each target's losses added up; ``tokens`` and ``right``, how many tokens it has, and how many of
            them scored highest, given those before.
    """
    found = language_metrics(rows["loss"], rows["tokens"])
    return {**found, "token_accuracy": float(rows["right"].sum() / rows["tokens"].sum())}


def text_metrics(found: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """How near decoded texts come to the references.

    ``exact_match``: the share that is equal, letter by letter. ``bleu`` (Papineni et al., 2002) and ``chrf`` (Popović,
    2015), both of the whole corpus and from 0 to 100, by sacrebleu with its defaults, so that they can be compared with
    published ones (Post, 2018): 13a tokenization, exponential smoothing, characters of up to six. Only where no text
    has four words are shorter sequences of words counted alone, which would otherwise be a BLEU of 0.
    """
    import sacrebleu

    return {
        "exact_match": float(np.mean([one == other for one, other in zip(found, wanted, strict=True)])),
        "bleu": float(sacrebleu.corpus_bleu(list(found), [list(wanted)], use_effective_order=True).score),
        "chrf": float(sacrebleu.corpus_chrf(list(found), [list(wanted)]).score),
    }
