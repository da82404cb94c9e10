"""The memory that a checkpoint of a large model takes on each rank, beside the state itself.

    horovodrun -np 2 python benchmarks/checkpoint_memory.py
    horovodrun -np 2 python benchmarks/checkpoint_memory.py --model gpt2 --shards off --folder /data/trial

Builds the model and Adam's state, saves one checkpoint, and prints a row for each rank: the state, what the rank writes
of it, its memory before the checkpoint, how much more it took at most while the checkpoint was saved, the same in parts
of the state plus what it writes (1 is the least), and how long a training step would have waited. The peak is Linux's
``VmHWM``.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from tfdl.cli.quiet import quick_start

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
quick_start()

import numpy as np  # noqa: E402
from step_programs import LabelTask  # noqa: E402

import tfdl  # noqa: E402
from tfdl import distributed  # noqa: E402
from tfdl.config import compose  # noqa: E402
from tfdl.runs import RunDirectory  # noqa: E402
from tfdl.training import Trainer  # noqa: E402
from tfdl.training.callback_states import CallbackStates  # noqa: E402
from tfdl.training.checkpoints import Checkpoints  # noqa: E402
from tfdl.training.training_state import TrainingState  # noqa: E402

VOCABULARY = 50_257


def memory(key: str) -> int:
    """Bytes of this process's memory: ``VmRSS`` now, ``VmHWM`` at most since ``forget_peak``."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith(f"{key}:")]
    return 1024 * int(line.split()[1])


def forget_peak() -> None:
    """Lets the kernel measure the peak anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt2-medium")
    parser.add_argument("--shards", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--folder", type=Path, help="where the checkpoint goes [default: a temporary folder]")
    options = parser.parse_args()
    world = distributed.init()
    model = tfdl.build_model(options.model, vocab_size=VOCABULARY)
    trainer = Trainer(model, tfdl.build_optimizer("adam"), LabelTask(), world)
    state = TrainingState(trainer, CallbackStates([]), time.time())
    state.share()
    config = compose({"checkpoint_shards": options.shards})
    with tempfile.TemporaryDirectory(prefix="tfdl-memory-", dir=options.folder) as name:
        run = RunDirectory(Path(world.broadcast_object(name)))
        checkpoints = Checkpoints(state, run, config, world, print)
        world.barrier()
        forget_peak()
        before = memory("VmRSS")
        begin = time.perf_counter()
        checkpoints.save()
        waited = time.perf_counter() - begin
        checkpoints.finish()
        rows = world.all_gather_object((before, memory("VmHWM") - before, waited, time.perf_counter() - begin))
        if world.is_chief:
            report(state, run, rows)


def report(state: TrainingState, run: RunDirectory, rows: list[tuple[int, int, float, float]]) -> None:
    """Prints the rows of all ranks."""
    state_bytes = sum(np.asarray(variable).nbytes for variable in state.variables)
    print("| rank | state | writes | memory before | more at most | peak / (state + writes) | waited | whole |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    files = list(run.checkpoint().glob("*.safetensors"))
    shards = sorted(path.name for path in files if "-of-" in path.name)
    for rank, (before, more, waited, whole) in enumerate(rows):
        own = [path for path in files if f"-{rank + 1:05d}-of-" in path.name] if shards else files * (rank == 0)
        written = sum(path.stat().st_size for path in own)
        peak = (state_bytes + more) / (state_bytes + written)
        sizes = " | ".join(f"{size / 2**30:.2f} GiB" for size in (state_bytes, written, before, more))
        print(f"| {rank} | {sizes} | {peak:.2f} | {waited:.1f} s | {whole:.1f} s |", flush=True)


main()
