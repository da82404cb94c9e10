"""Exact evaluation: the metrics on any number of ranks are those of one process."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "Evaluation": "tfdl.evaluation.run",
    "Evaluator": "tfdl.evaluation.evaluator",
    "OpenedSplit": "tfdl.evaluation.run",
    "evaluate": "tfdl.evaluation.run",
    "evaluate_in_detail": "tfdl.evaluation.run",
    "evaluate_loaded": "tfdl.evaluation.run",
    "evaluator_for": "tfdl.evaluation.choice",
    "open_split": "tfdl.evaluation.run",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.evaluation.choice import evaluator_for as evaluator_for
    from tfdl.evaluation.evaluator import Evaluator as Evaluator
    from tfdl.evaluation.run import Evaluation as Evaluation
    from tfdl.evaluation.run import OpenedSplit as OpenedSplit
    from tfdl.evaluation.run import evaluate as evaluate
    from tfdl.evaluation.run import evaluate_in_detail as evaluate_in_detail
    from tfdl.evaluation.run import evaluate_loaded as evaluate_loaded
    from tfdl.evaluation.run import open_split as open_split


__getattr__ = lazy_names(__name__, _PUBLIC)
