"""Metrics of 1,797 rows over three ranks and in one process, as JSON.

First tfdl's evaluation, of a classifier and of a language model. Then Keras's metrics, where the ranks have different
numbers of rows. The metrics of one rank's own rows are the control.
"""

import json

import keras
import numpy as np
from next_byte import VOCAB_SIZE, NextByte, text_source
from sklearn.datasets import load_digits

import tfdl
from tfdl import distributed
from tfdl.data import ArraySource
from tfdl.distributed import SingleWorld, World
from tfdl.evaluation import evaluator_for
from tfdl.tasks import ImageClassification

ENDS = (0, 900, 1796, 1797)  # one rank has a single row


def classifier() -> keras.Model:
    metrics = keras.metrics
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
    model.compile(
        loss="categorical_crossentropy",
        metrics=[
            metrics.CategoricalAccuracy(), metrics.TopKCategoricalAccuracy(5), metrics.Precision(), metrics.Recall(),
            metrics.F1Score(average="macro"), metrics.AUC(multi_label=True, num_labels=10),
            metrics.OneHotMeanIoU(10),
        ],
    )  # fmt: skip
    return model


def tfdl_metrics(world: World) -> dict[str, float]:
    """Both tasks' metrics, of models that were never trained."""
    keras.utils.set_random_seed(0)
    digits = load_digits()
    images = (digits.images[..., np.newaxis] * 15).astype(np.uint8)
    source = ArraySource({"image": images, "label": digits.target.astype(np.int32)})
    task = ImageClassification((8, 8, 1), tuple("0123456789"), resized=False)
    model = tfdl.build_model("cnn", filters=(4,), units=8, **task.model_arguments)
    metrics = dict(evaluator_for(model, task).metrics(source, world))
    language_model = tfdl.build_model("rnn", units=8, num_layers=1, vocab_size=VOCAB_SIZE)
    language_metrics = evaluator_for(language_model, NextByte()).metrics(text_source(len(images)), world)
    for name, value in language_metrics.items():
        metrics[f"language {name}"] = value
    return metrics


def main() -> None:
    world = distributed.init()
    together = tfdl_metrics(world)
    if world.is_chief:
        print(json.dumps({"together": together, "whole": tfdl_metrics(SingleWorld())}), flush=True)
    compare_keras_metrics(world)


def compare_keras_metrics(world: World) -> None:
    digits = load_digits()
    images = digits.data.astype("float32") / 16  # (rows, 64)
    labels = np.eye(10, dtype="float32")[digits.target]  # (rows, 10)
    model = classifier()
    # A linear classifier that chooses the class with the nearest mean. It is right for most rows.
    means = images.T @ labels / labels.sum(0)  # (64, 10)
    model.set_weights([4 * means, -2 * (means**2).sum(0)])
    own_rows = slice(ENDS[world.rank], ENDS[world.rank + 1])

    def evaluate(rows: slice, *callbacks: keras.callbacks.Callback) -> dict[str, float]:
        return model.evaluate(images[rows], labels[rows], callbacks=list(callbacks), verbose=0, return_dict=True)

    together = evaluate(own_rows, distributed.AverageMetrics())
    assert all(metrics == together for metrics in world.all_gather_object(together))
    if world.is_chief:
        results = {"together": together, "alone": evaluate(own_rows), "whole": evaluate(slice(None))}
        print(json.dumps(results), flush=True)


main()
