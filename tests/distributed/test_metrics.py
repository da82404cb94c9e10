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

PARTS = (0, 41, 43, 100)  # where two and three ranks' rows begin and end; 41, 2 and 57 of them

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
KERAS = sorted(
    name
    for name, kind in vars(keras.metrics).items()
    if inspect.isclass(kind) and issubclass(kind, keras.Metric) and kind is not keras.Metric
)


def rows_for(name):
    if name in ("Mean", "Sum"):
        return (SCORES[:, 0],)
    if name in SPARSE:
        return CLASSES, SCORES
    if name in ("Accuracy", "IoU", "MeanIoU"):
        return CLASSES, SCORES.argmax(1)
    if name == "BinaryIoU":
        return ONE_HOT[:, 0], SCORES[:, 0]
    return ONE_HOT, SCORES


def measured(name, begin, end):
    metric = getattr(keras.metrics, name)(**ARGUMENTS.get(name, {}))
    arrays = [array[begin:end] for array in rows_for(name)]
    for start in range(0, end - begin, 16):
        batch = [array[start : start + 16] for array in arrays]
        metric.update_state(*batch, sample_weight=WEIGHTS[begin:end][start : start + 16])
    return metric


def as_model(metric):
    return SimpleNamespace(metrics=[metric], get_metrics_result=lambda: {"found": metric.result()})


@pytest.mark.parametrize("name", KERAS)
def test_every_metric_of_keras_adds_up(ranks, name):
    world = ranks(3)
    parts = [as_model(measured(name, *pair)) for pair in pairwise(PARTS)]
    found = world.run(lambda rank: exact_metrics(parts[rank], world)["found"])
    whole = np.asarray(measured(name, 0, 100).result())
    for value in found:
        np.testing.assert_allclose(value, whole, rtol=2e-6)
        np.testing.assert_array_equal(value, found[0])
    local = [np.asarray(part.metrics[0].result()) for part in parts]
    are_all_close = all(np.allclose(value, whole, rtol=1e-5) for value in local)
    assert not are_all_close, "the test proves nothing: each rank's own rows give the same value"


def test_the_metrics_keep_their_own_state(ranks):
    world = ranks(2)
    models = [as_model(measured("Mean", *part)) for part in ((0, 30), (30, 100))]
    before = [float(model.metrics[0].result()) for model in models]
    world.run(lambda rank: exact_metrics(models[rank], world))
    assert [float(model.metrics[0].result()) for model in models] == before


def test_a_value_for_each_class_is_kept():
    metric = keras.metrics.F1Score(average=None)
    metric.update_state(ONE_HOT, SCORES)
    found = exact_metrics(as_model(metric), SingleWorld())["found"]
    np.testing.assert_array_equal(found, metric.result())
    assert found.shape == (7,)


class LargestError(keras.metrics.Metric):
    """Not a sum: added up over ranks it would be the sum of their largest errors."""

    def __init__(self, aggregation="sum", name="largest_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_variable((), "zeros", aggregation=aggregation, name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
        error = keras.ops.max(keras.ops.abs(y_true - y_pred))
        self.largest.assign(keras.ops.maximum(self.largest, error))

    def result(self):
        return self.largest


class Right(keras.metrics.Metric):
    """A sum, in a custom class."""

    def __init__(self, name="right", **kwargs):
        super().__init__(name=name, **kwargs)
        self.right = self.add_weight(initializer="zeros", name="right")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
        self.right.assign_add(keras.ops.sum(keras.ops.cast(y_true == y_pred, "float32")))

    def result(self):
        return self.right


class Halved(keras.metrics.Mean):
    """Counts as Keras does, and computes another result."""

    def result(self):
        return super().result() / 2


class Both(keras.metrics.Metric):
    """Has no variables itself."""

    def __init__(self, part, name="both"):
        super().__init__(name=name)
        self.part, self.other = part, keras.metrics.Mean()

    def update_state(self, *arrays, sample_weight=None):
        self.part.update_state(*arrays, sample_weight=sample_weight)

    def result(self):
        return self.part.result()


@pytest.mark.parametrize("make", [LargestError, lambda: Both(LargestError())], ids=["itself", "a part"])
def test_a_metric_that_may_not_be_a_sum_is_named(make):
    message = r"metric 'largest_error' is of the custom class LargestError, .* declare it with AverageMetrics\("
    with pytest.raises(UserError, match=message):
        check_additive([make()])


def test_a_variable_that_is_declared_as_no_sum_is_named():
    with pytest.raises(UserError, match=r"'largest_error' \(LargestError\) keeps 'largest' with aggregation='mean'"):
        check_additive([LargestError("mean")], [LargestError])


@pytest.mark.parametrize("make", [Right, Halved, lambda: Both(Right())], ids=["declared", "updated by Keras", "nested"])
def test_sums_are_accepted(make):
    check_additive([make()], [Right])
