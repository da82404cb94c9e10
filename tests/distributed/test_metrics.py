"""Keras metrics over ranks: the sums over the ranks equal those of one process, or there is an error."""

import inspect
from itertools import pairwise
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tfdl.distributed import SingleWorld
from tfdl.distributed.metrics import check_additive, exact_metrics
from tfdl.errors import UserError

BOUNDS = (0, 41, 43, 100)  # three ranks have 41, 2 and 57 rows

RANDOM = np.random.default_rng(0)
CLASSES = RANDOM.integers(0, 7, 100)
ONE_HOT = np.eye(7, dtype="float32")[CLASSES]
SCORES = 0.7 * RANDOM.dirichlet(np.full(7, 0.4), 100) + 0.3 * ONE_HOT * RANDOM.random((100, 1))
SCORES = SCORES.astype("float32")
WEIGHTS = RANDOM.integers(1, 4, 100).astype("float32")

# The arrays and arguments that some metrics need. All others take two arrays of one shape.
SPARSE = {"SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "SparseCategoricalCrossentropy"}
ARGUMENTS = {
    "IoU": {"num_classes": 7, "target_class_ids": [1, 2]},
    "BinaryIoU": {"target_class_ids": [0, 1]},
    "MeanIoU": {"num_classes": 7},
    "OneHotIoU": {"num_classes": 7, "target_class_ids": [1, 2]},
    "OneHotMeanIoU": {"num_classes": 7},
    "MeanMetricWrapper": {"fn": keras.losses.mean_squared_error},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "SparseTopKCategoricalAccuracy": {"k": 3},
}
KERAS_CLASSES = {name: cls for name, cls in vars(keras.metrics).items() if inspect.isclass(cls)}
# The names of all metrics of Keras.
KERAS = sorted(name for name, cls in KERAS_CLASSES.items() if issubclass(cls, keras.Metric) and cls is not keras.Metric)


def rows_for(name):
    """The targets and predictions that suit a metric."""
    if name in ("Mean", "Sum"):
        return (SCORES[:, 0],)
    if name in SPARSE:
        return CLASSES, SCORES
    if name in ("Accuracy", "IoU", "MeanIoU"):
        return CLASSES, SCORES.argmax(1)
    if name == "BinaryIoU":
        return ONE_HOT[:, 0], SCORES[:, 0]
    return ONE_HOT, SCORES


def updated_metric(name, begin, end):
    """A metric after the weighted rows from ``begin`` to ``end``, in batches of 16."""
    metric = getattr(keras.metrics, name)(**ARGUMENTS.get(name, {}))
    arrays = rows_for(name)
    for start in range(begin, end, 16):
        rows = slice(start, min(start + 16, end))
        metric.update_state(*(array[rows] for array in arrays), sample_weight=WEIGHTS[rows])
    return metric


def as_model(metric):
    """Stands in for a model with this metric."""
    return SimpleNamespace(metrics=[metric], get_metrics_result=lambda: {"metric": metric.result()})


@pytest.mark.parametrize("name", KERAS)
def test_every_metric_of_keras_adds_up(ranks, name):
    world = ranks(3)
    metrics = [updated_metric(name, begin, end) for begin, end in pairwise(BOUNDS)]
    models = [as_model(metric) for metric in metrics]
    results = world.run(lambda rank: exact_metrics(models[rank], world)["metric"])
    whole = np.asarray(updated_metric(name, 0, 100).result())
    for result in results:
        np.testing.assert_allclose(result, whole, rtol=2e-6)
        np.testing.assert_array_equal(result, results[0])
    own_results = [np.asarray(metric.result()) for metric in metrics]
    are_all_close = all(np.allclose(result, whole, rtol=1e-5) for result in own_results)
    assert not are_all_close, "the test proves nothing: each rank's own rows give the same value"


def test_the_metrics_keep_their_own_state(ranks):
    world = ranks(2)
    models = [as_model(updated_metric("Mean", 0, 30)), as_model(updated_metric("Mean", 30, 100))]
    before = [float(model.metrics[0].result()) for model in models]
    world.run(lambda rank: exact_metrics(models[rank], world))
    assert [float(model.metrics[0].result()) for model in models] == before


def test_a_value_for_each_class_is_kept():
    metric = keras.metrics.F1Score(average=None)
    metric.update_state(ONE_HOT, SCORES)
    result = exact_metrics(as_model(metric), SingleWorld())["metric"]
    np.testing.assert_array_equal(result, metric.result())
    assert result.shape == (7,)


class LargestError(keras.metrics.Metric):
    """Not a sum: over ranks it would be the sum of their largest errors."""

    def __init__(self, aggregation="sum", name="largest_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_variable((), "zeros", aggregation=aggregation, name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
        error = keras.ops.max(keras.ops.abs(y_true - y_pred))
        self.largest.assign(keras.ops.maximum(self.largest, error))

    def result(self):
        return self.largest


class NumCorrect(keras.metrics.Metric):
    """A sum, in a custom class."""

    def __init__(self, name="num_correct", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
        self.count.assign_add(keras.ops.sum(keras.ops.cast(y_true == y_pred, "float32")))

    def result(self):
        return self.count


class HalfMean(keras.metrics.Mean):
    """Has Keras's sums, but computes another result."""

    def result(self):
        return super().result() / 2


class Nested(keras.metrics.Metric):
    """Has no variables itself, only those of two other metrics."""

    def __init__(self, part, name="nested"):
        super().__init__(name=name)
        self.part = part
        self.other = keras.metrics.Mean()

    def update_state(self, *arrays, sample_weight=None):
        self.part.update_state(*arrays, sample_weight=sample_weight)

    def result(self):
        return self.part.result()


@pytest.mark.parametrize("make", [LargestError, lambda: Nested(LargestError())], ids=["itself", "a part"])
def test_a_metric_that_may_not_be_a_sum_is_named(make):
    message = r"metric 'largest_error' is of the custom class LargestError, .* declare it with AverageMetrics\("
    with pytest.raises(UserError, match=message):
        check_additive([make()])


def test_a_variable_with_another_aggregation_is_named():
    with pytest.raises(UserError, match=r"'largest_error' \(LargestError\) keeps 'largest' with aggregation='mean'"):
        check_additive([LargestError("mean")], [LargestError])


@pytest.mark.parametrize(
    "make", [NumCorrect, HalfMean, lambda: Nested(NumCorrect())], ids=["declared", "updated by Keras", "nested"]
)
def test_sums_are_accepted(make):
    check_additive([make()], [NumCorrect])
