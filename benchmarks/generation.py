"""Tokens a second of GPT-2 with random weights: tfdl and transformers on PyTorch, on this CPU.

    python benchmarks/generation.py --rounds 5 --output results.json

All variants have the same weights and prompts and write the most likely tokens, so they write the same texts, except
that of rounded weights. The variants take turns, in an order that rotates: other work on the machine slows all of them
alike. A measurement is the time of some tokens after the first ones, so that reading the prompt and compiling count
nothing. The ratio is the median over the rounds of a variant's speed divided by that of transformers in the same round.

On a machine that does other work, PyTorch's threads wait for each other far longer than TensorFlow's. There
`--one-thread` compares the libraries fairly: it measures the CPU time of one thread.

It also prints how fast a large product reads its weights, how much longer a token takes at position 1,000 than at
position 100, and how the perplexity of a text changes by rounding the weights. The text is drawn from the model itself.
`--run RUN` measures the perplexity of a trained run on its test split instead.
"""

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import tfdl
from tfdl.config import choose_samplers
from tfdl.inference.generation.block_decoder import BlockDecoder
from tfdl.inference.generation.half_weights import HalfWeightsOfModel, WholeWeights
from tfdl.inference.generation.samplers.chain import SamplerChain
from tfdl.inference.generation.slots import capacity_for, with_slots
from tfdl.inference.generation.steppers.cached import CachedStepper

VOCABULARY = 50257
PROMPT = 64
NO_END = -2
MEMORY_SHAPE = (2**10, 2**17)
BASE = "transformers, eager"

Write = Callable[[int], np.ndarray]
"""Writes so many more tokens of each text, int (b, n)."""


def main() -> None:
    """Measures, prints the tables, and writes the figures to the output file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant is measured")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of one measurement")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="texts at the same time")
    parser.add_argument("--preset", default="gpt2", help="size of the model")
    parser.add_argument("--one-thread", action="store_true", help="one thread, and its CPU time instead of the clock")
    parser.add_argument("--compiled", action="store_true", help="measure torch.compile too, which takes minutes")
    parser.add_argument("--run", type=Path, help="a trained run whose perplexity is measured")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    if options.one_thread:
        use_one_thread()
    model = tfdl.build_model("transformer", preset=options.preset, vocab_size=VOCABULARY)
    result: dict[str, Any] = {"settings": settings(options)}
    for batch_size in options.batches:
        seconds = measure(variants(model, batch_size, options.compiled), options.rounds, options.tokens)
        result[f"batch {batch_size}"] = show(seconds, batch_size)
    result["memory"] = memory(options.rounds)
    result["positions"] = positions(model, options.rounds)
    result["perplexity"] = perplexities(model, options.run)
    Console().print(result["memory"], result["positions"], result["perplexity"])
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def use_one_thread() -> None:
    """Limits both libraries to one thread."""
    import torch

    torch.set_num_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    chosen = {name: getattr(options, name) for name in ("rounds", "tokens", "preset", "one_thread")}
    return chosen | {"tensorflow": tf.__version__, "python": platform.python_version(), "cores": os.cpu_count()}


def variants(model: Any, batch_size: int, with_compiled: bool) -> dict[str, Write]:
    """Name -> what writes tokens; each has read the prompts."""
    prompts = np.random.default_rng(0).integers(0, VOCABULARY, (batch_size, PROMPT)).astype(np.int32)
    reference = torch_model(model)
    made = {BASE: torch_writer(reference, prompts)}
    if with_compiled:
        made["transformers, compiled"] = compiled_torch_writer(reference, prompts)
    made["tfdl"] = writer(model, prompts, WholeWeights())
    made["tfdl, XLA"] = writer(model, prompts, WholeWeights(), xla=True)
    made["tfdl, bfloat16 weights"] = writer(model, prompts, HalfWeightsOfModel(model))
    return made


def writer(model: Any, prompts: np.ndarray, weights: Any, xla: bool = False) -> Write:
    """tfdl's blocks, one after the other."""
    stepper = CachedStepper(model)
    decoder = BlockDecoder(stepper, SamplerChain(), NO_END, xla=xla)
    state, tokens, slot = stepper.begin(list(prompts))
    history = tf.constant(prompts)

    def write(count: int) -> np.ndarray:
        nonlocal state, tokens, slot, history
        capacity = capacity_for(slot + count)
        state = stepper.with_capacity(state, capacity)
        history = with_slots(history, capacity)
        uniforms = np.zeros((len(prompts), count))
        with weights.in_use():
            written, _, state, history = decoder(tokens, state, slot, history, uniforms)
        tokens = written[:, -1]
        slot += count
        return written

    return write


def torch_model(model: Any) -> Any:
    """transformers' GPT-2 with the weights of tfdl's."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = model.config
    sizes = {"n_layer": config.num_layers, "n_head": config.num_heads, "n_embd": config.hidden_dim}
    reference = GPT2LMHeadModel(GPT2Config(**sizes, n_positions=config.sequence_length)).eval()
    body = reference.transformer
    pairs = [(body.wte.weight, model.token_embedding.table), (body.wpe.weight, model.position_embedding.table)]
    for theirs, ours in zip(body.h, model.blocks, strict=True):
        dense = [
            (theirs.attn.c_attn, ours.attention.query_key_value),
            (theirs.attn.c_proj, ours.attention.output_projection),
            (theirs.mlp.c_fc, ours.feed_forward.up),
            (theirs.mlp.c_proj, ours.feed_forward.down),
        ]
        pairs += [(layer.weight, own.kernel) for layer, own in dense]
        pairs += [(layer.bias, own.bias) for layer, own in dense]
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(torch.from_numpy(np.asarray(ours)))
    return reference


def torch_writer(reference: Any, prompts: np.ndarray) -> Write:
    """transformers' greedy generation, which continues from its cache."""
    import torch

    ids = torch.from_numpy(prompts.astype(np.int64))
    with torch.inference_mode():
        cache = reference(ids[:, :-1], use_cache=True).past_key_values

    def write(count: int) -> np.ndarray:
        nonlocal ids
        length = ids.shape[1]
        mask = torch.ones_like(ids)
        ids = reference.generate(
            ids,
            attention_mask=mask,
            past_key_values=cache,
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
        return ids[:, length:].numpy()

    return write


def compiled_torch_writer(reference: Any, prompts: np.ndarray) -> Write:
    """The same with torch.compile and a cache of a static size."""
    import torch
    from transformers import StaticCache

    cache = StaticCache(config=reference.config, max_cache_len=1024)
    step = torch.compile(reference, dynamic=False)
    place = prompts.shape[1] - 1
    with torch.inference_mode():
        positions = torch.arange(place)
        reference(torch.from_numpy(prompts[:, :-1].astype(np.int64)), past_key_values=cache, cache_position=positions)
    tokens = torch.from_numpy(prompts[:, -1:].astype(np.int64))

    def write(count: int) -> np.ndarray:
        nonlocal tokens, place
        written = []
        with torch.inference_mode():
            for _ in range(count):
                logits = step(tokens, past_key_values=cache, cache_position=torch.tensor([place])).logits
                tokens = logits[:, -1].argmax(-1, keepdim=True)
                place += 1
                written.append(tokens)
        return torch.cat(written, 1).numpy()

    return write


def measure(writers: dict[str, Write], rounds: int, count: int) -> dict[str, list[float]]:
    """Name -> seconds of a token in each round, after a first block that is not measured but compared."""
    texts = {name: write(count) for name, write in writers.items()}
    for name, text in texts.items():
        if "bfloat16" not in name:
            assert (text == texts[BASE]).all(), f"{name} writes another text than {BASE}"
    order = list(writers)
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    for turn in range(rounds):
        for index in range(len(order)):
            name = order[(turn + index) % len(order)]
            seconds[name].append(seconds_of(writers[name], count) / count)
    return seconds


def show(seconds: dict[str, list[float]], batch_size: int) -> dict[str, Any]:
    """Prints a table of a batch size, and returns its figures."""
    table = Table("variant", "tokens/s", "best", "ratio", title=f"batch {batch_size}")
    figures: dict[str, Any] = {}
    for name, times in seconds.items():
        ratio = statistics.median(base / own for base, own in zip(seconds[BASE], times, strict=True))
        speed = batch_size / statistics.median(times)
        best = batch_size / min(times)
        figures[name] = {"tokens_per_second": speed, "best": best, "ratio": ratio}
        table.add_row(name, f"{speed:.1f}", f"{best:.1f}", f"{ratio:.2f}")
    Console().print(table)
    return figures


def memory(rounds: int) -> dict[str, float]:
    """How fast one large product with a single row reads its weights, in GB/s. Memory sets the limit."""
    weights = tf.ones(MEMORY_SHAPE)
    row = tf.ones([1, MEMORY_SHAPE[0]])
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        tf.matmul(row, weights).numpy()
        seconds.append(time.perf_counter() - start)
    return {"weights read in GB/s": 4e-9 * math.prod(MEMORY_SHAPE) / statistics.median(seconds[1:])}


def positions(model: Any, rounds: int) -> dict[str, float]:
    """How much longer a token takes at position 1,000 than at position 100, in pairs of measurements."""
    writers = []
    for place in (100, 1000):
        prompts = np.random.default_rng(1).integers(0, VOCABULARY, (1, place - 30)).astype(np.int32)
        write = writer(model, prompts, WholeWeights())
        write(1)  # compiles
        writers.append(write)
    ratios = []
    for _ in range(rounds):
        early, late = (seconds_of(write, 8) for write in writers)
        ratios.append(late / early)
    return {"position 1000 / position 100": statistics.median(ratios)}


def seconds_of(write: Write, count: int) -> float:
    """Seconds of so many tokens: of the process's CPU with one thread, otherwise of the clock."""
    clock = time.process_time if tf.config.threading.get_intra_op_parallelism_threads() == 1 else time.perf_counter
    start = clock()
    write(count)
    return clock() - start


def perplexities(model: Any, run: Path | None) -> dict[str, float]:
    """The perplexity with the model's weights, and with weights in bfloat16."""
    windows = [drawn_text(model)]
    if run is not None:
        model, windows = run_windows(run)
    found = {}
    for name, weights in (("float32", WholeWeights()), ("bfloat16 weights", HalfWeightsOfModel(model))):
        with weights.in_use():
            logits_of = tf.function(lambda window: tf.nn.log_softmax(model.decode(window, cache_for(model, window))[0]))
            losses = [loss_of(logits_of(window[:, :-1]).numpy(), window) for window in windows]
        found[name] = math.exp(sum(losses) / sum(window[:, 1:].size for window in windows))
    return found | {"change": found["bfloat16 weights"] / found["float32"] - 1}


def cache_for(model: Any, window: Any) -> Any:
    """An empty cache for a window."""
    return model.initial_cache(window.shape[0], window.shape[1])


def loss_of(log_probabilities: np.ndarray, window: np.ndarray) -> float:
    """Minus the log-probability of a window's tokens."""
    return -float(np.take_along_axis(log_probabilities, window[:, 1:, np.newaxis], -1).sum(dtype=np.float64))


def drawn_text(model: Any, length: int = 129) -> np.ndarray:
    """Tokens (1, length) drawn from the model."""
    stepper = CachedStepper(model)
    decoder = BlockDecoder(stepper, SamplerChain(choose_samplers("random")), NO_END)
    state, tokens, slot = stepper.begin([np.array([1], np.int32)])
    state = stepper.with_capacity(state, length)
    history = tf.fill([1, length + 1], -1)
    uniforms = np.random.default_rng(0).random((1, length))
    written, *_ = decoder(tokens, state, slot, history, uniforms)
    return written


def run_windows(run: Path) -> tuple[Any, list[np.ndarray]]:
    """The model of a run, and the windows of its test split."""
    from tfdl.config import TASKS
    from tfdl.runs import load_run

    loaded = load_run(run)
    _, sources = TASKS.load(loaded.config.task).open(loaded.config, loaded.run.assets)
    source = sources["test"]
    count = min(64, source.num_examples - 1)  # the last window may be padded
    return loaded.model, [source.read(tf.range(count))["tokens"].numpy()]


if __name__ == "__main__":
    main()
