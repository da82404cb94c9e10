"""Asks a folder for transformers for its logits, by tfdl's own importer and by transformers itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.errors import RunError, UserError
from tfdl.export.differences import checked_difference
from tfdl.export.exact_numbers import exact_products
from tfdl.export.huggingface.samples import as_transformers, network_samples
from tfdl.export.known_tasks import LOGITS
from tfdl.export.parity import TRAINING_PACKAGES, Arrays, answers_in_clean_process
from tfdl.interop.importing import read_written_model
from tfdl.runs.load import LoadedRun

TRANSFORMERS = ("transformers", "torch")
"""What transformers needs to be asked."""
# transformers imports some of these if it can.
_NEEDLESS = ("tensorflow", "keras", "sklearn", "matplotlib", "pandas", "IPython")
_PROGRAM = """\
import os
os.environ["HF_HUB_OFFLINE"] = "1"
import torch, transformers
transformers.logging.set_verbosity_error()
folder, auto_class = arguments
auto_class = getattr(transformers, auto_class)
model, info = auto_class.from_pretrained(folder, output_loading_info=True)
for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
    if info[kind]:
        names = sorted(map(str, info[kind]))
        sys.exit(f"transformers reports {kind}: {', '.join(names[:3])}")
model.eval()
with torch.no_grad():
    for case, named in inputs.items():
        tensors = {name: torch.from_numpy(values) for name, values in named.items()}
        answers[case] = {"logits": model(**tensors).logits.numpy()}
"""


@dataclass(frozen=True)
class Comparison:
    """How far the answers of a folder are from the model's."""

    largest_difference: float
    """Between logits, relative to the largest logit of the same image or token."""
    compared: int
    """The number of samples."""
    asked_by: str
    """Who gave the answers, for the report."""


def compare(folder: Path, auto_class: str, loaded: LoadedRun) -> Comparison:
    """Compares the logits of a folder with those of the run's model.

    tfdl's own importer reads the folder, and so does transformers in a clean process, if it is installed.

    Args:
        folder: that was written for transformers.
        auto_class: the class of transformers that loads it.
        loaded: the run, in float32 and without updates of low rank.

    Raises:
        RunError: the logits differ, or the folder cannot be read.
    """
    samples = network_samples(loaded.task)
    expected = _logits(loaded.model, samples)
    again = _read_again(folder, loaded, samples)
    difference = _checked_difference("the folder, as tfdl reads it,", expected, again)
    missing = [name for name in TRANSFORMERS if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        asked_by = f"read by tfdl's own importer, since {' and '.join(missing)} {verb} not installed"
    else:
        inputs = as_transformers(samples, loaded.task, loaded.config.model)
        answers = answers_in_clean_process(
            "the folder", _PROGRAM, [folder, auto_class], inputs, hidden=(*TRAINING_PACKAGES, *_NEEDLESS)
        )
        difference = max(difference, _checked_difference("the folder, as transformers reads it,", expected, answers))
        asked_by = "loaded by transformers without tfdl and Horovod, and by tfdl's own importer"
    return Comparison(difference, sum(map(len, samples.values())), asked_by)


def _checked_difference(what: str, expected: Mapping[str, Arrays], answers: Mapping[str, Arrays]) -> float:
    """The largest difference, relative to the largest logit of its row.

    A published model's logits go up to 30 and more, and rounding makes errors of their size times that of float32, also
    in a logit that is nearly 0.
    """
    scaled_expected = {}
    scaled_answers = {}
    for case, named in expected.items():
        scale = np.maximum(1, np.abs(named[LOGITS]).max(axis=-1, keepdims=True))
        scaled_expected[case] = {LOGITS: named[LOGITS] / scale}
        logits = answers[case][LOGITS]
        scaled_answers[case] = {LOGITS: logits / scale if logits.shape == named[LOGITS].shape else logits}
    return checked_difference(what, scaled_expected, scaled_answers).largest


def _read_again(folder: Path, loaded: LoadedRun, samples: Mapping[str, np.ndarray]) -> dict[str, Arrays]:
    try:
        model = read_written_model(folder, loaded.config.model, loaded.task)
    except UserError as error:
        raise RunError(f"tfdl cannot read the folder that it wrote: {error}; nothing was written") from error
    return _logits(model, samples)


def _logits(model: Any, samples: Mapping[str, np.ndarray]) -> dict[str, Arrays]:
    with exact_products():
        return {
            case: {LOGITS: np.asarray(model(tf.constant(inputs), training=False))} for case, inputs in samples.items()
        }
