"""Runs that diverged are refused with the reason, in every format that computes."""

import keras
import numpy as np
import pytest

import tfdl
from tests.export.small_models import small_model, task_and_config
from tfdl.errors import UserError
from tfdl.export.finite_weights import check_finite_weights
from tfdl.interop.imported_run import write_imported_run
from tfdl.runs import RunDirectory


@pytest.mark.parametrize("export", [tfdl.export_saved_model, tfdl.export_keras, tfdl.export_onnx, tfdl.export_litert])
def test_a_run_that_diverged(tmp_path, export):
    task, config = task_and_config("cnn")
    model = small_model(config, task)
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    run = RunDirectory(tmp_path / "run")
    write_imported_run(run, config, task, model, {"source": "a test"})
    message = rf"the model has weights that are NaN or infinite \({model.weights[0].path}\), so its training diverged"
    with pytest.raises(UserError, match=message):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_weights_are_named():
    layers = [keras.layers.Dense(2, name=name) for name in ("a", "b", "c")]
    model = keras.Sequential([keras.Input((2,)), *layers], name="net")
    check_finite_weights(model)
    for variable in model.weights[1:]:
        variable.assign(np.full(variable.shape, np.inf))
    with pytest.raises(UserError, match=r"\(net/a/bias, net/b/kernel, net/b/bias and 2 more\)"):
        check_finite_weights(model)


def test_numbers_of_other_kinds():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, dtype="bfloat16"), keras.layers.Dropout(0.1)])
    check_finite_weights(model)
    model.weights[0].assign(np.full((2, 2), np.nan))
    with pytest.raises(UserError, match="NaN or infinite"):
        check_finite_weights(model)
