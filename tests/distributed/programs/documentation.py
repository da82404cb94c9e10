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
for number, block in enumerate(blocks):
    keras.utils.set_random_seed(world.rank)
    names = {"x": random.normal(size=(256, 8)).astype("float32"), "y": random.normal(size=(256, 1)).astype("float32")}
    exec(compile(block, f"{PAGE.name}, block {number + 1}", "exec"), names)
    everyone = world.all_gather_object([np.asarray(weight).tolist() for weight in names["model"].weights])
    peers = everyone[world.rank // 2 * 2 :][:2] if "subsets" in block else everyone
    assert all(weights == peers[0] for weights in peers), block
print(len(blocks), "blocks", flush=True)
