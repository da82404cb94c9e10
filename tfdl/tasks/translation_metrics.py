"""Metrics of translations: of the targets' tokens, and of decoded texts."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfdl.tasks.language_metrics import language_metrics


def token_metrics(rows: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Loss of a token, perplexity (see ``language_metrics``) and token accuracy.

    Args:
        rows: for each target ``loss``, the sum of its tokens' losses; ``tokens``, the number of its tokens; and
            ``num_correct``, the number of tokens with the largest logit, given the tokens before.
    """
    metrics = language_metrics(rows["loss"], rows["tokens"])
    metrics["token_accuracy"] = float(rows["num_correct"].sum() / rows["tokens"].sum())
    return metrics


def text_metrics(decoded: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """How similar decoded texts are to the references.

    BLEU and chrF are those of the whole corpus, from 0 to 100. sacrebleu computes them with its defaults: 13a
    tokenization, exponential smoothing, and sequences of up to six characters. So they can be compared with published
    ones (Post, 2018). If no text has four words, BLEU counts shorter sequences of words alone; it would otherwise be 0.

    Args:
        decoded: texts that a model wrote.
        references: the correct texts, in the same order.

    Returns:
        ``exact_match``, the share of texts that are equal to their reference; ``bleu`` (Papineni et al., 2002); and
        ``chrf`` (Popović, 2015).
    """
    import sacrebleu

    is_equal = [text == reference for text, reference in zip(decoded, references, strict=True)]
    bleu = sacrebleu.corpus_bleu(list(decoded), [list(references)], use_effective_order=True)
    chrf = sacrebleu.corpus_chrf(list(decoded), [list(references)])
    return {"exact_match": float(np.mean(is_equal)), "bleu": float(bleu.score), "chrf": float(chrf.score)}
