"""No test of this folder may reach for the network; exports ask transformers in this process, which is quicker."""

import os

import numpy as np
import pytest

from tfdl.export.huggingface import comparison

os.environ["HF_HUB_OFFLINE"] = "1"


def _answers_in_this_process(what, program, arguments, inputs, *, hidden):  # noqa: ARG001
    answers = {}
    exec(program, {"arguments": list(map(str, arguments)), "inputs": inputs, "answers": answers, "numpy": np})
    return answers


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """tests/export/test_huggingface.py asks in a clean process, as users' exports do."""
    monkeypatch.setattr(comparison, "answers_in_clean_process", _answers_in_this_process)
