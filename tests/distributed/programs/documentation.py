"""Runs every block of Python of docs/keras-scripts.md on every rank, in the order of the page."""

import os
import re
import sys
from pathlib import Path

import keras
import numpy as np

from tfdl import distributed

PAGE = Path(__file__).parents[3] / "docs" / "keras-scripts.md"

world = distributed.init(subsets=[[0, 1], [2, 3]])
os.chdir(sys.argv[1])
random = np.random.default_rng(0)
blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
for number, block in enumerate(blocks, start=1):
    keras.utils.set_random_seed(world.rank)
    # The page's examples expect the arrays x and y, and each of them trains a model.
    variables = {
        "x": random.normal(size=(256, 8)).astype("float32"),
        "y": random.normal(size=(256, 1)).astype("float32"),
    }
    exec(compile(block, f"{PAGE.name}, block {number}", "exec"), variables)
    weights = [np.asarray(weight).tolist() for weight in variables["model"].weights]
    weights_by_rank = world.all_gather_object(weights)
    if "subsets" in block:
        first = 0 if world.rank < 2 else 2
        weights_by_rank = weights_by_rank[first : first + 2]  # of this rank's group
    assert all(theirs == weights for theirs in weights_by_rank), block
print(len(blocks), "blocks", flush=True)
