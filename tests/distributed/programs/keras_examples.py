"""Runs scripts of ``keras_io`` one after another: ``keras_examples.py FOLDER [NAME ...]``.

Every rank begins with different weights. Every rank checks that its last weights and its history are those of all
ranks, and rank 0 writes them to FOLDER.
"""

import importlib
import json
import sys
from pathlib import Path

import keras
import numpy as np

from tfdl import distributed

sys.path.insert(0, str(Path(__file__).parent))
world = distributed.init()
keras.config.set_floatx("float64")
folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    keras.utils.set_random_seed(world.rank)
    script = importlib.import_module(f"keras_io.{name}")
    model, history = script.train(world)
    history = {key: [float(value) for value in values] for key, values in history.items()}
    weights = [np.asarray(weight) for weight in model.weights]
    for rank, (their_weights, their_history) in enumerate(world.all_gather_object((weights, history))):
        for theirs, mine in zip(their_weights, weights, strict=True):
            assert np.array_equal(theirs, mine), (name, rank)
        assert their_history == history, (name, rank, their_history, history)
    if world.is_chief:
        np.savez(folder / f"{name}.npz", *weights)
        (folder / f"{name}.json").write_text(json.dumps(history), encoding="utf-8")
