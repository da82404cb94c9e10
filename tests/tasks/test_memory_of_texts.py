"""What opening a large corpus takes in memory, measured in fresh processes."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

# Prints by how many MiB the peak memory grows while a task opens its data; and, in pages that are not those of files,
# until it has read one batch.
MEASURED = """
import os
import sys
from pathlib import Path
import numpy as np
from tfdl.cli.quiet import quick_start
from tfdl.config import TASKS, compose

quick_start()
from tfdl.data import training_batches

def memory(name):
    return int(Path("/proc/self/status").read_text().partition(name)[2].split()[0]) / 1024

task, corpus, data_dir = sys.argv[1:]
config = compose({"task": task, "model": {"name": "transformer", "num_layers": 1}, "tokenizer": "byte", "dataset": {
    "name": corpus, "data_dir": data_dir, "memory_limit_mb": 0, "sequence_length": 64}})
implementation = TASKS.load(task)
Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is used now
before = memory("VmHWM:"), memory("RssAnon:")
_, sources = implementation.open(config)
opening = memory("VmHWM:") - before[0]
batches = iter(training_batches(sources["train"], batch_size=16, seed=0))
next(batches)
print(opening, memory("RssAnon:") - before[1], flush=True)
os._exit(0)  # the batches that are read ahead would be waited for
"""
# In MB.
SIZES = (4, 34)
TEXT = "a few words that are not worth learning, " * 10


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Size in MB -> a folder with a training file of this size."""
    folders = {}
    for size in SIZES:
        folder = folders[size] = tmp_path_factory.mktemp(f"corpus-{size}")
        for split, num_bytes in (("train", size * 10**6), ("valid", 1), ("test", 1)):
            with (folder / f"{split}.jsonl").open("w") as file:
                for number in range(num_bytes // len(TEXT) + 2):
                    text = f"{number} {TEXT}"
                    file.write(json.dumps({"text": text, "label": str(number % 2)}) + "\n")
    return folders


def growth(task, corpus, data_dir):
    command = [sys.executable, "-c", MEASURED, task, str(corpus), str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.array(done.stdout.split(), float)


@pytest.mark.parametrize("task", ["language-modeling", "text-classification"])
def test_memory_does_not_grow_with_the_corpus(task, corpora, tmp_path):
    small, large = (growth(task, corpora[size], tmp_path / "data") for size in SIZES)
    assert max(large - small) < 20  # of 30 MB more text, which are 60 MB of tokens


def test_control_tokens_in_memory_are_measured(corpora, tmp_path):
    (tmp_path / "file").touch()  # in which no tokens can be kept
    small, large = (growth("language-modeling", corpora[size], tmp_path / "file") for size in SIZES)
    assert min(large - small) > 50
