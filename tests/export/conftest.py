"""Exports that several files look at, and exports that are asked in this process, which is quicker."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.export import saved_model
from tfdl.export.keras import exporting as keras_exporting
from tfdl.export.litert import comparison
from tfdl.export.litert import exporting as litert_exporting
from tfdl.export.litert.interpreter import LiteRTModel
from tfdl.export.onnx import lowering, runtime
from tfdl.export.parity import signature_of


@pytest.fixture(scope="session")
def digits_in_keras(trained_run, tmp_path_factory):
    """The trained run, exported as users export it: asked in a clean process. Tests must not change it."""
    return tfdl.export_keras(trained_run, tmp_path_factory.mktemp("keras") / "digits")


@pytest.fixture(scope="session")
def digits_in_onnx(trained_run, tmp_path_factory):
    """See ``digits_in_keras``."""
    return tfdl.export_onnx(trained_run, tmp_path_factory.mktemp("onnx") / "digits")


@pytest.fixture(scope="session")
def digits_in_litert(trained_run, tmp_path_factory):
    """See ``digits_in_keras``."""
    return tfdl.export_litert(trained_run, tmp_path_factory.mktemp("litert") / "digits")


def answers_of_keras(path, inputs):
    """What the program of ``tfdl.export.keras.exporting`` answers."""
    model = keras.models.load_model(path)
    answers = {}
    for case, named in inputs.items():
        outputs = model(named if len(named) > 1 else next(iter(named.values())), training=False)
        answers[case] = {str(number): np.asarray(value) for number, value in enumerate(keras.tree.flatten(outputs))}
    return answers


def answers_of_onnx(path, inputs):
    """What the program of ``tfdl.export.onnx.runtime`` answers."""
    model = runtime.OnnxModel(path)
    return {case: model.answers(named) for case, named in inputs.items()}


def answers_of_litert(path, inputs):
    """What the program of ``tfdl.export.litert.interpreter`` answers."""
    model = LiteRTModel(path.read_bytes(), one_row=False)
    return {case: model.answers(named) for case, named in inputs.items()}


def answers_of_saved_model(path, inputs):
    """What the program of ``tfdl.export.parity`` answers."""
    signatures = tf.saved_model.load(str(path)).signatures
    answers = {}
    for case, arguments in inputs.items():
        outputs = signatures[signature_of(case)](**{key: tf.constant(value) for key, value in arguments.items()})
        answers[case] = {key: np.asarray(value) for key, value in outputs.items()}
    return answers


@pytest.fixture
def quickly(monkeypatch):
    """Exports start no other process to be asked."""
    monkeypatch.setattr(saved_model, "answers_of_saved_model", answers_of_saved_model)
    for module in (runtime, lowering):
        monkeypatch.setattr(module, "answers_of_onnx", answers_of_onnx)
    for module in (comparison, litert_exporting):
        monkeypatch.setattr(module, "answers_of_litert", answers_of_litert)

    def keras_process(what, program, arguments, inputs):  # noqa: ARG001
        return answers_of_keras(*arguments, inputs)

    monkeypatch.setattr(keras_exporting, "answers_in_clean_process", keras_process)
