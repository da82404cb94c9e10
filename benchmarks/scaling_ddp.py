# ruff: noqa: E402  (a rank takes its core before PyTorch starts its threads)
"""One rank of `scaling.py` in PyTorch: DistributedDataParallel over Gloo, and the same model without it.

The LSTM and the GPT are those of `scaling_rank.py`, with PyTorch's own layers and fused Adam, on one thread and one
core a rank.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

RANK, SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
_CORES = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, {_CORES[RANK % len(_CORES)]})

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

BATCH = {"lstm": (20, 20, 10000), "gpt": (12, 64, 65)}  # samples, tokens of each, vocabulary


class LSTM(nn.Module):
    """Two layers of 200, as Zaremba et al.'s small model, without dropout."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.table, self.layers = nn.Embedding(vocabulary, 200), nn.LSTM(200, 200, 2, batch_first=True)
        self.head = nn.Linear(200, vocabulary)

    def forward(self, tokens: Any) -> Any:
        return self.head(self.layers(self.table(tokens))[0])


class Block(nn.Module):
    """GPT-2's."""

    def __init__(self, width: int = 128, heads: int = 4):
        super().__init__()
        self.heads, self.norm_1, self.norm_2 = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        samples, length, width = x.shape
        heads = self.query_key_value(self.norm_1(x)).view(samples, length, 3 * self.heads, -1).transpose(1, 2)
        y = functional.scaled_dot_product_attention(*heads.split(self.heads, 1), is_causal=True)  # (B, H, T, d)
        x = x + self.output(y.transpose(1, 2).reshape(samples, length, width))
        return x + self.down(functional.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class GPT(nn.Module):
    """Four layers of width 128, four heads, context 64, tied head."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.table, self.places = nn.Embedding(vocabulary, 128), nn.Embedding(64, 128)
        self.blocks, self.norm = nn.Sequential(*(Block() for _ in range(4))), nn.LayerNorm(128)

    def forward(self, tokens: Any) -> Any:
        x = self.blocks(self.table(tokens) + self.places.weight)
        return functional.linear(self.norm(x), self.table.weight)


def main() -> None:
    """Measures one program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", choices=BATCH, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    samples, length, vocabulary = BATCH[options.program]
    torch.manual_seed(RANK)
    tokens = torch.randint(vocabulary, (samples, length + 1))
    kind = {"lstm": LSTM, "gpt": GPT}[options.program]
    runs = {
        "no reduction": program(kind(vocabulary), tokens),
        "DDP": program(DistributedDataParallel(kind(vocabulary)), tokens),
    }
    everyone: list[Any] = [None] * SIZE
    dist.all_gather_object(everyone, measured(runs, options.rounds, options.seconds))
    if RANK == 0:
        options.output.write_text(json.dumps({"batch": samples, "ranks": everyone}))
    dist.barrier()
    os._exit(0)  # Gloo's threads abort the process now and then when Python ends before them


def program(model: nn.Module, tokens: Any) -> Any:
    """Runs so many training steps."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def run(num_steps: int) -> None:
        for _ in range(num_steps):
            logits = model(tokens[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    run(2)
    return run


def measured(runs: dict[str, Any], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of a step, a list over the rounds for each variant."""
    begin = time.perf_counter()
    runs["no reduction"](5)
    each = [(time.perf_counter() - begin) / 5]
    dist.broadcast_object_list(each)
    num_steps = max(1, round(seconds / each[0]))
    order, times = list(runs), {name: [] for name in runs}
    for turn in range(rounds):
        for place in range(len(order)):
            name = order[(turn + place) % len(order)]
            dist.barrier()
            begin = time.perf_counter()
            runs[name](num_steps)
            times[name].append((time.perf_counter() - begin) / num_steps)
    return times


if __name__ == "__main__":
    main()
