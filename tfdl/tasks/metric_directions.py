"""Whether larger values of a metric are better."""

_LARGER = frozenset(
    {"accuracy", "top_5_accuracy", "token_accuracy", "precision", "recall", "f1", "auc", "exact_match", "bleu", "chrf"}
)


def larger_is_better(metric: str) -> bool | None:
    """Whether larger values of a metric of tfdl's own tasks are better; None if that is not known.

    Args:
        metric: its name.
    """
    if metric in ("loss", "perplexity") or metric.startswith("bits_per_"):
        return False
    return True if metric in _LARGER else None
