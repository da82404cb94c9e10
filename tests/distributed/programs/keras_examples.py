"""Runs scripts of ``keras_io`` one after another: ``keras_examples.py FOLDER [NAME ...]``.

Every rank begins with weights of its own. Rank 0 writes each script's last weights and history to FOLDER; every rank
checks that its own are the same.
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
    model, history = importlib.import_module(f"keras_io.{name}").train(world)
    history = {key: [float(value) for value in values] for key, values in history.items()}
    weights = [np.asarray(weight) for weight in model.weights]
    for rank, (theirs, seen) in enumerate(world.all_gather_object((weights, history))):
        assert all(np.array_equal(a, b) for a, b in zip(theirs, weights, strict=True)), (name, rank)
        assert seen == history, (name, rank, seen, history)
    if world.is_chief:
        np.savez(folder / f"{name}.npz", *weights)
        (folder / f"{name}.json").write_text(json.dumps(history), encoding="utf-8")
