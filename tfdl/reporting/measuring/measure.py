"""Measures a run's model on a split of its data."""

import dataclasses
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.distributed import World
from tfdl.errors import RunError, UserError, first_line
from tfdl.evaluation import OpenedSplit, evaluator_for, open_split
from tfdl.reporting.data_sets import data_set_key
from tfdl.reporting.facts.run_facts import SHARES
from tfdl.reporting.intervals import Interval, wilson
from tfdl.reporting.measuring.class_parts import class_guess, classes_of
from tfdl.reporting.measuring.confident_evaluator import ConfidentEvaluator
from tfdl.reporting.measuring.language_parts import generated_texts, unigram_guess
from tfdl.reporting.measuring.measured import Measured, Scores
from tfdl.reporting.measuring.model_cost import training_flops
from tfdl.reporting.measuring.shown_inputs import with_images, with_texts
from tfdl.reporting.measuring.translation_parts import translated_texts
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.digest import weights_sha256
from tfdl.runs.load import LoadedRun
from tfdl.tasks.classification import Classification
from tfdl.tasks.classification_metrics import TOP
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.task import Rows
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation

_MOST_IMAGES = 24
_MOST_TEXTS = 12
# Fields of a data set by which the same samples are read in another way, or from another place.
_SAME_SAMPLES = ("augmentation", "data_dir", "image_size", "memory_limit_mb", "sequence_length")


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
        What was measured. If the checkpoint or the data cannot be used or read, it has the reason.
    """
    folder = checkpoint
    try:
        folder = run.checkpoint(checkpoint).resolve().name
        loaded = load_run(run, checkpoint)
        opened = open_split(loaded, split, world, data=data)
        rows = _evaluator(loaded, opened).rows(opened.source, world)
        # The parts read samples, too, which may be damaged.
        parts = _common_parts(loaded, opened, rows) | _parts_of_task(loaded, opened, rows)
    except (UserError, RunError, OSError, tf.errors.OpError) as error:
        return Measured(split, folder, problem=first_line(error))
    return Measured(
        split,
        folder,
        note=opened.note,
        weights_sha256=weights_sha256(loaded.model),
        training_flops=training_flops(loaded.model, opened.task),
        num_samples=int(opened.source.num_examples),
        metrics=opened.task.metrics(rows),
        **parts,
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
    samples = [rows[name] for name in ("label", "source", "target") if name in rows]
    tokens = [rows["tokens"]] if "tokens" in rows else []
    tokenizer = getattr(opened.task, "tokenizer", None)
    return {
        "scores": scores,
        "intervals": intervals,
        "data_key": (opened.task.name, _choice_of_data(loaded, opened), _digest(samples)),
        "token_key": (tokenizer.digest, _digest(tokens)) if tokens and tokenizer is not None else None,
    }


def _choice_of_data(loaded: LoadedRun, opened: OpenedSplit) -> str:
    """All that chooses the samples and their labels."""
    dataset = loaded.config.dataset
    fields = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    chosen = {name: value for name, value in fields.items() if name not in _SAME_SAMPLES}
    chosen["name"] = data_set_key(dataset.name)
    return repr((chosen, getattr(opened.task, "class_names", None)))


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
            "guess": class_guess(rows["label"], task.class_names),
            "classes": classes_of(rows, task.class_names, most, show),
        }
    if isinstance(task, LanguageModeling):
        guess, digest = unigram_guess(opened.source, task.tokenizer.vocab_size, task.evaluation_batch_size)
        return {
            "guess": guess,
            "token_key": (task.tokenizer.digest, digest),
            "texts": generated_texts(loaded.model, task, opened.source),
        }
    if isinstance(task, Translation):
        return {"texts": translated_texts(rows)}
    return {}
