# ruff: noqa: E402  (a rank is pinned to its core before PyTorch starts its threads)
"""One rank of `scaling.py` in PyTorch: DistributedDataParallel over Gloo, and the same model without it.

The LSTM and the GPT have the sizes of `step_programs.py`, PyTorch's own layers and fused Adam, one thread and one core
for each rank.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from core_of_rank import pin_to_core

RANK = int(os.environ["RANK"])
SIZE = int(os.environ["WORLD_SIZE"])
pin_to_core(RANK)

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch_models import GPT, LSTM
from turns import Run, time_in_turns

# Program -> its model, samples of a batch, tokens of a sample, vocabulary.
PROGRAMS = {"lstm": (LSTM, 20, 20, 10_000), "gpt": (GPT, 12, 64, 65)}


def main() -> None:
    """Measures one program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", choices=PROGRAMS, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    model_class, samples, length, vocabulary = PROGRAMS[options.program]
    torch.manual_seed(RANK)
    tokens = torch.randint(vocabulary, (samples, length + 1))
    runs = {
        "no reduction": training_steps(model_class(vocabulary), tokens),
        "DDP": training_steps(DistributedDataParallel(model_class(vocabulary)), tokens),
    }
    times_of_ranks: list[Any] = [None] * SIZE
    dist.all_gather_object(times_of_ranks, measure(runs, options.rounds, options.seconds))
    if RANK == 0:
        options.output.write_text(json.dumps({"batch": samples, "ranks": times_of_ranks}))
    dist.barrier()
    # Without Python's clean-up: Gloo's threads sometimes abort the process when Python ends before them.
    os._exit(0)


def training_steps(model: nn.Module, tokens: Any) -> Run:
    """Makes a function that runs so many training steps.

    Args:
        model: returns logits of the next token.
        tokens: a batch of shape (samples, tokens of a sample + 1).
    """
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            logits = model(tokens[:, :-1])  # (samples, time, vocabulary)
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run(2)
    return run


def measure(runs: dict[str, Run], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Returns name -> this rank's seconds of a step in every round.

    Args:
        runs: name -> a variant; "no reduction" decides how many steps a measurement has.
        rounds: number of rounds.
        seconds: about how long one measurement is.
    """
    start = time.perf_counter()
    runs["no reduction"](5)
    step_seconds = [(time.perf_counter() - start) / 5]
    dist.broadcast_object_list(step_seconds)  # in place: rank 0's time
    num_steps = max(1, round(seconds / step_seconds[0]))
    return time_in_turns(runs, dict.fromkeys(runs, num_steps), rounds, dist.barrier)


if __name__ == "__main__":
    main()
