"""Measures a run's model on a split of its data."""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from tfdl.distributed import World
from tfdl.errors import RunError, UserError, first_line
from tfdl.evaluation import OpenedSplit, evaluator_for, open_split
from tfdl.reporting.facts.run_facts import SHARES
from tfdl.reporting.intervals import Interval, wilson
from tfdl.reporting.measuring.class_parts import classes_of, largest_class
from tfdl.reporting.measuring.confident_evaluator import ConfidentEvaluator
from tfdl.reporting.measuring.language_parts import generated_texts, unigram_guess
from tfdl.reporting.measuring.measured import Measured, Scores
from tfdl.reporting.measuring.model_cost import training_flops
from tfdl.reporting.measuring.shown_inputs import with_images, with_texts
from tfdl.reporting.measuring.translation_parts import translated_texts
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.load import LoadedRun
from tfdl.tasks.classification import Classification
from tfdl.tasks.classification_metrics import TOP
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import DecodingTask, Rows
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation

_MOST_IMAGES = 24
_MOST_TEXTS = 12


def measure(
    run: RunDirectory, split: str, checkpoint: str, world: World, data: Mapping[str, Any] | None = None
) -> Measured:
    """Evaluates a run's model, and collects what a report shows besides the metrics.

    Args:
        run: the run.
        split: ``train``, ``validation`` or ``test``.
        checkpoint: ``last``, ``best``, or a folder's name.
        world: of one rank.
        data: the splits, for a run whose data Python code passed to ``tfdl.train``.

    Returns:
        What was measured. If the checkpoint or the data cannot be used, it has the reason.
    """
    folder = checkpoint
    try:
        folder = run.checkpoint(checkpoint).resolve().name
        loaded = load_run(run, checkpoint)
        opened = open_split(loaded, split, world, data=data)
    except (UserError, RunError, OSError) as error:
        return Measured(split, folder, problem=first_line(error))
    rows = _evaluator(loaded, opened).rows(opened.source, world)
    return Measured(
        split,
        folder,
        note=opened.note,
        training_flops=training_flops(loaded.model, opened.task),
        num_samples=int(opened.source.num_examples),
        metrics=opened.task.metrics(rows),
        **_common_parts(loaded, opened, rows),
        **_parts_of_task(loaded, opened, rows),
    )


def _evaluator(loaded: LoadedRun, opened: OpenedSplit) -> Any:
    task = opened.task
    if isinstance(task, Classification) and type(task).evaluation_rows is Classification.evaluation_rows:
        return ConfidentEvaluator(loaded.model, task)
    return evaluator_for(loaded.model, task)


def _common_parts(loaded: LoadedRun, opened: OpenedSplit, rows: Rows) -> dict[str, Any]:
    """What is known of each sample: scores and their intervals, and what identifies the samples."""
    scores = _scores(rows)
    intervals: dict[str, Interval] = {}
    for name, values in scores.items():
        if name in SHARES and values.is_share:
            intervals[name] = wilson(int(values.sums.sum()), len(values.sums))
    dataset = loaded.config.dataset
    splits = (dataset.name, dataset.train_split, dataset.validation_split, dataset.test_split)
    samples = [rows[name] for name in ("label", "source", "target") if name in rows]
    tokens = [rows["tokens"]] if "tokens" in rows else []
    tokenizer = getattr(opened.task, "tokenizer", None)
    return {
        "scores": scores,
        "intervals": intervals,
        "data_key": (opened.task.name, splits, _digest(samples)),
        # Windows of another length are other samples, too.
        "token_key": (tokenizer.digest, _digest(tokens)) if tokens and tokenizer is not None else None,
    }


def _scores(rows: Rows) -> dict[str, Scores]:
    """Metric -> the part of each sample, of the metrics that are a mean over samples or tokens."""
    scores = {}
    if "label" in rows and "prediction" in rows:
        scores["accuracy"] = _share(rows["label"] == rows["prediction"])
    if "num_above" in rows and "label" in rows:
        scores[f"top_{TOP}_accuracy"] = _share(rows["num_above"] < TOP)
    if "translation" in rows:
        written = [text.decode() for text in rows["translation"].tolist()]
        scores["exact_match"] = _share(np.array([a == b for a, b in zip(written, rows["target"], strict=True)], bool))
    if "loss" in rows:
        losses = rows["loss"]
        scores["loss"] = Scores(losses, rows.get("tokens", np.ones(len(losses))))
    return scores


def _share(is_right: np.ndarray) -> Scores:
    return Scores(is_right, np.ones(len(is_right)))


def _digest(columns: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        content = repr(column.tolist()).encode() if column.dtype == object else np.ascontiguousarray(column).tobytes()
        digest.update(content)
    return digest.hexdigest()


def _parts_of_task(loaded: LoadedRun, opened: OpenedSplit, rows: Rows) -> dict[str, Any]:
    """Classes and mistakes, or texts that the model writes."""
    task = opened.task
    if isinstance(task, Classification) and "confidence" in rows:
        show: Any = list
        if isinstance(task, ImageClassification):
            show = partial(with_images, source=opened.source)
        elif isinstance(task, TextClassification):
            show = partial(with_texts, source=opened.source)
        most = _MOST_IMAGES if isinstance(task, ImageClassification) else _MOST_TEXTS
        return {
            "guess": largest_class(rows["label"], task.class_names),
            "classes": classes_of(rows, task.class_names, most, show),
        }
    if isinstance(task, LanguageModeling):
        size = task.tokenizer.vocab_size
        return {
            "guess": unigram_guess(opened.source, size, task.evaluation_batch_size),
            "texts": generated_texts(loaded.model, task, opened.source),
        }
    if isinstance(task, DecodingTask) and isinstance(task, Translation):
        return {"texts": translated_texts(rows)}
    return {}
