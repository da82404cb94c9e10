"""The names by which a user asks for the values of runs."""

from collections.abc import Iterable, Sequence

from tfdl.errors import UserError, nearest
from tfdl.reporting.listed_run import VALUE_NAMES, ListedRun

SHORT_NAMES = {"ranks": "world_size", "time": "wall_seconds"}
"""The names of columns that are shorter than their field."""
_EXAMPLES = ("run", "started", "time", "test")
# Letters of a name that make it a suggestion.
_SHORTEST_BEGINNING = 3


def value_name(received: str, runs: Sequence[ListedRun], given: str) -> str:
    """Returns the name of a value, for ``ListedRun.value``.

    Args:
        received: the name of a column, a field, a metric such as ``test.accuracy``, or a key of ``config.yaml`` such as
            ``optimizer.learning_rate``.
        runs: the runs, whose metrics and configurations have names.
        given: what the user wrote, for the error, such as ``--sort '-test.accuracy'``.

    Raises:
        UserError: no run has a value of this name.
    """
    name = SHORT_NAMES.get(received, received)
    metrics = _metrics_of(runs)
    split, _, metric = name.partition(".")
    # Without any run nothing has a value, and no metric is known.
    is_metric_of_no_run = bool(metric) and split in ("validation", "test") and not metrics
    if name in VALUE_NAMES or name in metrics or is_metric_of_no_run:
        return name
    settings = {key: None for run in runs for key in run.config}  # each once, in order
    if name in settings:
        return name
    known = [*VALUE_NAMES, *SHORT_NAMES, *metrics, *settings]
    advice = nearest(received, known) or _with_this_end(received, [*reversed(metrics), *settings])
    examples = [f"a column such as {', '.join(_EXAMPLES)}"]
    of_test = [name for name in metrics if name.startswith("test.")]
    # The loss comes first, and tells less than the next one.
    examples += [f"a metric such as {name}" for name in of_test[1:2] or of_test]
    examples += ["a key of config.yaml such as optimizer.learning_rate"] if settings else []
    raise UserError(f"{given}, expected {' or '.join(examples)} (`tfdl runs --json` has all of them).{advice}")


def _with_this_end(received: str, known: Sequence[str]) -> str:
    """The advice to use a name whose last part begins like the received one: ``test.accuracy`` for ``acc``."""
    for name in known:
        if len(received) >= _SHORTEST_BEGINNING and name.rpartition(".")[2].startswith(received.lower()):
            return f" Did you mean {name!r}?"
    return ""


def _metrics_of(runs: Iterable[ListedRun]) -> list[str]:
    """The metrics that some run has, such as ``test.accuracy``; each once."""
    names: dict[str, None] = {}
    for run in runs:
        names.update(dict.fromkeys(f"validation.{name}" for name in run.validation))
        names.update(dict.fromkeys(f"test.{name}" for name in run.test))
    return list(names)
