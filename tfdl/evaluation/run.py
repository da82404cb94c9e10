"""Evaluates a run directory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfdl.config import TASKS
from tfdl.config.dataset import PythonDataConfig
from tfdl.data import Source
from tfdl.data.hash_split import SPLITS
from tfdl.data.limited import limited_splits
from tfdl.data.objects.description import describe_splits
from tfdl.data.objects.splits import data_of_split
from tfdl.data.sources import sample_counts
from tfdl.distributed import World, current_world
from tfdl.distributed.equal_data import check_equal_data, check_equal_splits
from tfdl.errors import UserError, nearest
from tfdl.evaluation.choice import evaluator_for
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.load import LoadedRun
from tfdl.runs.sample_counts import changed_counts_note
from tfdl.tasks.beam_search import DEFAULT_LENGTH_PENALTY
from tfdl.tasks.task import DecodingTask, Task


@dataclass(frozen=True)
class Evaluation:
    """The results of evaluating one split."""

    metrics: dict[str, float]
    details: dict[str, Any]
    """What the task reports besides its metrics, as plain data, such as ``classes`` and ``confusion_matrix``."""
    warning: str = ""
    """What the user should know about the results, such as that they are no better than guessing."""
    note: str = ""
    """What has changed in the data since the run began: how many samples the split has."""


@dataclass(frozen=True)
class OpenedSplit:
    """A split that can be evaluated."""

    task: Task
    """As the data were opened for it."""
    source: Source
    note: str = ""
    """As for ``Evaluation``."""


def evaluate(
    run: str | Path | RunDirectory,
    split: str = "test",
    checkpoint: str = "last",
    world: World | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    beams: int | None = None,
    length_penalty: float = DEFAULT_LENGTH_PENALTY,
) -> dict[str, float]:
    """Metrics of a run's weights on one split. Those of ``test`` are the same as in its ``summary.json``.

    Args:
        run: the run directory.
        split: ``train``, ``validation`` or ``test``.
        checkpoint: ``last``, ``best``, or a folder's name such as ``step-00000460``.
        world: the ranks that share the work. Defaults to the current ones.
        data: the splits, for a run whose data Python code passed to ``tfdl.train(data=...)``. The evaluated split is
            enough; a split that was cut from the training data needs the training data.
        beams: search translations with so many beams. Defaults to the likeliest token every time, as in training.
        length_penalty: exponent of the length penalty of beams (Wu et al., 2016).

    Raises:
        UserError: not a run directory, no such split or checkpoint, data that is missing, or beams for a task that
            writes no text.
    """
    evaluation = evaluate_in_detail(
        run, split, checkpoint, world, data=data, beams=beams, length_penalty=length_penalty
    )
    return evaluation.metrics


def evaluate_in_detail(
    run: str | Path | RunDirectory,
    split: str = "test",
    checkpoint: str = "last",
    world: World | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    beams: int | None = None,
    length_penalty: float = DEFAULT_LENGTH_PENALTY,
) -> Evaluation:
    """As ``evaluate``, and returns also what a report shows besides the metrics.

    Args:
        run: as for ``evaluate``.
        split: as for ``evaluate``.
        checkpoint: as for ``evaluate``.
        world: as for ``evaluate``.
        data: as for ``evaluate``.
        beams: as for ``evaluate``.
        length_penalty: as for ``evaluate``.

    Raises:
        UserError: as ``evaluate``.
    """
    check_split(split)
    world = world or current_world()
    with world.agreement():
        loaded = load_run(run, checkpoint)
    return evaluate_loaded(loaded, split, world, data=data, beams=beams, length_penalty=length_penalty)


def evaluate_loaded(
    loaded: LoadedRun,
    split: str = "test",
    world: World | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    beams: int | None = None,
    length_penalty: float = DEFAULT_LENGTH_PENALTY,
) -> Evaluation:
    """As ``evaluate_in_detail``, of a run that has been loaded.

    Args:
        loaded: the run and its model.
        split: as for ``evaluate``.
        world: as for ``evaluate``.
        data: as for ``evaluate``.
        beams: as for ``evaluate``.
        length_penalty: as for ``evaluate``.

    Raises:
        UserError: no such split, data that is missing, or beams for a task that writes no text.
    """
    world = world or current_world()
    opened = open_split(loaded, split, world, data=data, beams=beams, length_penalty=length_penalty)
    task = opened.task
    rows = evaluator_for(loaded.model, task).rows(opened.source, world)
    return Evaluation(task.metrics(rows), task.details(rows), task.warning(rows), opened.note)


def open_split(
    loaded: LoadedRun,
    split: str,
    world: World,
    *,
    data: Mapping[str, Any] | None = None,
    beams: int | None = None,
    length_penalty: float = DEFAULT_LENGTH_PENALTY,
) -> OpenedSplit:
    """Opens a split of a run's data, as an evaluation reads it.

    Args:
        loaded: the run and its model.
        split: as for ``evaluate``.
        world: the ranks that share the work; all of them must call.
        data: as for ``evaluate``.
        beams: as for ``evaluate``.
        length_penalty: as for ``evaluate``.

    Raises:
        UserError: as ``evaluate_loaded``.
    """
    check_split(split)
    if beams is not None and not isinstance(loaded.task, DecodingTask):
        raise UserError(f"beams={beams}, but the task {loaded.task.name} is evaluated without writing texts")
    with world.agreement():
        task_class = TASKS.load(loaded.config.task)
        if data is not None:
            data = data_of_split(data, split, loaded.task.class_names)
        task, sources = task_class.open(loaded.config, loaded.run.assets, data)
        if data is None:
            sources = limited_splits(sources, loaded.config.sample_limits)
        task.fit_to(loaded.model)
        task.check_data({split: sources[split]})
        if beams is not None:
            task.search_with(beams, length_penalty)
    if isinstance(loaded.config.dataset, PythonDataConfig):
        check_equal_data(lambda: describe_splits({split: sources[split]}, data), world)
    else:
        check_equal_splits(loaded.config.dataset.name, task.class_names, sample_counts(sources), world)
    note = changed_counts_note(loaded.run.assets, sample_counts({split: sources[split]}))
    return OpenedSplit(task, sources[split], note)


def check_split(split: str) -> None:
    """Checks the name of a split.

    Raises:
        UserError: there is no such split.
    """
    if split not in SPLITS:
        raise UserError(f"split {split!r}, expected one of {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
