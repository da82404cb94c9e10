"""How good a model is, exactly: over N ranks the same numbers as in one process."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "evaluate": "tfdl.evaluation.run",
    "evaluate_in_detail": "tfdl.evaluation.run",
    "evaluate_source": "tfdl.evaluation.rows",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.evaluation.rows import evaluate_source as evaluate_source
    from tfdl.evaluation.run import evaluate as evaluate
    from tfdl.evaluation.run import evaluate_in_detail as evaluate_in_detail


__getattr__ = lazy_names(__name__, _PUBLIC)
