"""Exports of the trained run that several files look at."""

from typing import Any

import pytest

import tfdl


@pytest.fixture(scope="session")
def digits_in_keras(trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Exported once, in a clean process as users export it. Tests must not change it."""
    return tfdl.export_keras(trained_run, tmp_path_factory.mktemp("keras") / "digits")


@pytest.fixture(scope="session")
def digits_in_onnx(trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """See ``digits_in_keras``."""
    return tfdl.export_onnx(trained_run, tmp_path_factory.mktemp("onnx") / "digits")


@pytest.fixture(scope="session")
def digits_in_litert(trained_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """See ``digits_in_keras``."""
    return tfdl.export_litert(trained_run, tmp_path_factory.mktemp("litert") / "digits")
