"""How many requests a second `tfdl serve` answers, how long they take, and what batching gains.

    python benchmarks/serving.py --rounds 5

The models are trained for one step. Each client sends one request after the other over one connection, with one image:
pixels as JSON to the CNN, a PNG file to ResNet-20. Two servers of the same export take turns, one that joins requests
and one that does not. The SavedModel itself is called in a loop in this process, with one image at a time and with 32.
The clients and the server share the machine. Printed are medians over the rounds, and percentiles of all requests.
"""

import argparse
import base64
import io
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image
from rich.console import Console
from rich.table import Table

import tfdl
from tfdl.config import compose

CLIENTS = (1, 8, 32)
BATCH = 32
# Model, size of its images, and the signature that is asked.
CASES = (("cnn", 24, "serving_default"), ("resnet20", 32, "encoded"))
SERVERS = {"batching": ("--max-batch-size", str(BATCH)), "max-batch-size 1": ("--max-batch-size", "1")}


@dataclass(frozen=True)
class Case:
    """A model and a request."""

    name: str
    folder: Path
    """Of its versions."""
    signature: str
    row: np.ndarray
    """One image: ``(1, h, w, 1)``, or ``(1,)`` with the bytes of a file."""
    body: bytes


@dataclass(frozen=True)
class Measured:
    """What clients saw in one round."""

    requests_per_second: float
    seconds: list[float]
    """Of each request."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for model, size, signature in CASES:
            measure(make_case(model, size, signature, Path(folder)), arguments.rounds, arguments.seconds)


def make_case(model: str, size: int, signature: str, folder: Path) -> Case:
    """Trains a model for one step, and exports it.

    Args:
        model: its name.
        size: of its images.
        signature: that is asked.
        folder: for run and export.
    """
    config = compose({"model": model, "dataset.image_size": [size, size], "steps": 1, "batch_size": 32, "xla": "off"})
    run = tfdl.train(config, folder / f"{model}-run")
    exported = tfdl.export_saved_model(run, folder / model)
    pixels = np.random.default_rng(0).integers(0, 256, (size, size), np.uint8)
    if signature == "serving_default":
        row = pixels[np.newaxis, ..., np.newaxis]
        instance: Any = row[0].tolist()
    else:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        row = np.array([stream.getvalue()], object)
        instance = {"b64": base64.b64encode(stream.getvalue()).decode()}
    body = json.dumps({"signature_name": signature, "instances": [instance]}).encode()
    return Case(model, exported.path.parent, signature, row, body)


def measure(case: Case, rounds: int, seconds: float) -> None:
    """Measures a model in turns, and prints a table.

    Args:
        case: the model.
        rounds: number of rounds.
        seconds: of each measurement.
    """
    function = tf.saved_model.load(str(case.folder / "1")).signatures[case.signature]
    loops: dict[int, list[float]] = {1: [], BATCH: []}
    found: dict[tuple[str, int], list[Measured]] = {}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(server(case, options)) for name, options in SERVERS.items()}
        for port in ports.values():
            ask(port, case, 8, 1.0)
        for _ in range(rounds):
            for rows, speeds in loops.items():
                speeds.append(loop_speed(function, case.row, rows, seconds / 2))
            for clients in CLIENTS:
                for name, port in ports.items():
                    found.setdefault((name, clients), []).append(ask(port, case, clients, seconds))
    title = f"{case.name}, {len(case.body):,} bytes a request, signature {case.signature}"
    table = Table("", "clients", "requests/s", "p50 ms", "p95 ms", "p99 ms", title=title)
    for rows, speeds in loops.items():
        table.add_row(f"SavedModel, {rows} rows", "", f"{statistics.median(speeds):,.0f} rows/s", "", "", "")
    for (name, clients), measured in found.items():
        speed = statistics.median(one.requests_per_second for one in measured)
        times = np.percentile([second for one in measured for second in one.seconds], [50, 95, 99]) * 1000
        table.add_row(name, str(clients), f"{speed:,.0f}", *(f"{value:.1f}" for value in times))
    Console(width=max(80, Console().width)).print(table)


def loop_speed(function: Any, row: np.ndarray, rows: int, seconds: float) -> float:
    """Rows a second of the SavedModel itself, from arrays to arrays.

    Args:
        function: its signature.
        row: one row.
        rows: of each call.
        seconds: to measure.
    """
    ((name, _),) = function.structured_input_signature[1].items()
    batch = np.concatenate([row] * rows)
    for _ in range(3):
        function(**{name: tf.constant(batch)})
    count = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        outputs = function(**{name: tf.constant(batch)})
        _ = {key: value.numpy() for key, value in outputs.items()}
        count += rows
    return count / (time.perf_counter() - start)


@contextmanager
def server(case: Case, options: Sequence[str]) -> Iterator[int]:
    """A server in another process; yields its port.

    Args:
        case: the model.
        options: of the command.
    """
    command = [sys.executable, "-m", "tfdl", "serve", str(case.folder), "--port", "0", "--poll-seconds", "0"]
    command += ["--no-log-requests", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            address = re.search(r"listening at http://127\.0\.0\.1:(\d+)", line)
            if address:
                break
        else:
            raise RuntimeError("the server did not start")
        yield int(address[1])
    finally:
        process.terminate()
        process.wait()


def ask(port: int, case: Case, clients: int, seconds: float) -> Measured:
    """Sends requests from several clients at a time.

    Args:
        port: of the server.
        case: the request.
        clients: number of connections, with one request at a time each.
        seconds: to measure.
    """
    path = f"/v1/models/{case.name}:predict"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(case.body)}\r\n\r\n"
    request = head.encode() + case.body
    times: list[list[float]] = [[] for _ in range(clients)]
    start = time.perf_counter()

    def send(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (sent := time.perf_counter()) - start < seconds:
                connection.sendall(request)
                receive(connection)
                times[number].append(time.perf_counter() - sent)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    return Measured(sum(map(len, times)) / elapsed, [second for one in times for second in one])


def receive(connection: socket.socket) -> None:
    """Reads an answer, which must be one of success.

    Args:
        connection: to the server.
    """
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += connection.recv(65536)


if __name__ == "__main__":
    main()
