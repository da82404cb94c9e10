"""`tfdl serve` as a process: its first lines, signals, and what it refuses."""

import http.client
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
import tensorflow as tf

from tests.cli.conftest import run_here as run_here
from tests.serving.asking import Client
from tests.serving.conftest import write_saved_model
from tfdl.cli.serve import _example
from tfdl.serving.program import Program
from tfdl.serving.signature import Signature, TensorInfo


@tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="n")])
def counted(n):
    """Counts to a number: a request may take as long as it wants."""
    total = tf.while_loop(lambda i: i < tf.reduce_max(n), lambda i: (i + 1,), (tf.constant(0),), parallel_iterations=1)
    return {"n": n * 0 + total[0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_saved_model(tmp_path_factory.mktemp("served") / "counter" / "1", {"serving_default": counted}).parent


def started(*arguments):
    """A server in a separate process, its address line and the lines before."""
    command = [sys.executable, "-m", "tfdl", "serve", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        found = re.match(r"listening at http://127\.0\.0\.1:(\d+); try it:", line)
        if found:
            return process, Client(int(found[1])), lines
    raise AssertionError(process.stderr.read())


def test_a_server_from_its_start_to_its_end(folder):
    """SIGTERM while a request is computed: the request is answered, and the exit code is 0."""
    process, client, lines = started(folder, "--port", "0")
    try:
        assert lines[1].split() == ["model", "versions", "task", "signatures"]
        assert lines[2].split() == ["counter", "1", "toy", "serving_default"]
        assert client.ask("counter", {"instances": [5]}) == {"predictions": [5]}
        idle = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        answers = []
        many = 300_000
        long = threading.Thread(target=lambda: answers.append(client.ask("counter", {"instances": [many]})))
        long.start()
        while b'tfdl_queue_length{model="counter",version="1"} 1' not in client.send("GET", "/metrics")[1]:
            assert long.is_alive()
        process.send_signal(signal.SIGTERM)
        long.join()
        assert answers == [{"predictions": [many]}]
        assert process.wait(60) == 0
        loading, *requests, last = process.stderr.read().splitlines()
        time = r"[\d-]{10} [\d:]{8}"
        assert re.fullmatch(rf"{time} loading model counter version 1", loading)
        assert re.fullmatch(rf"{time} the server has ended", last)
        shape = re.compile(rf"{time} 127\.0\.0\.1 (GET|POST) (\S+) 200 \d+\.\d ms")
        found = [shape.fullmatch(line)[2] for line in requests]
        assert found[:2] == ["/v1/models/counter:predict", "/healthz"]
        assert found[-1] == "/v1/models/counter:predict"
    finally:
        process.kill()
        process.wait()


# What ends before TensorFlow is imported


def test_a_port_in_use(folder, run_here):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = run_here("serve", folder, "--port", port)
    assert (code, out) == (2, "")
    assert err == (
        f"tfdl: error: port {port} of 127.0.0.1 is in use; give another with --port, or --port 0 for a free one\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "error: 'missing' does not exist, expected a run directory or a folder that `tfdl export` wrote"),
        (["{folder}", "{folder}/1"], "has the name 'counter', as"),
        (
            ["{folder}", "--host", "no.such.host.invalid"],
            "'no.such.host.invalid' is unknown, expected an address",
        ),
        (["{folder}", "--host", "192.0.2.1"], "--host '192.0.2.1' is not an address of this machine"),
        (["{folder}", "--versions", "0"], "'0' is neither a number of at least 1 nor all"),
        (["{folder}", "--port", "65536"], "65536 is not in the range 0<=x<=65535"),
        ([], "Missing argument 'RUN|SAVEDMODEL...'"),
    ],
)
def test_what_is_refused(folder, run_here, arguments, message):
    code, out, err = run_here("serve", *(argument.format(folder=folder) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_models_that_cannot_be_loaded(folder, run_here, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder / "1", copy)
    (copy / "assets.extra" / "tfdl.json").unlink()
    code, _, err = run_here("serve", copy, "--port", "0")
    assert code == 2
    assert "was not written by tfdl (no assets.extra/tfdl.json), expected an export; serve it with --trust" in err
    (copy / "saved_model.pb").write_bytes(b"no model")
    code, _, err = run_here("serve", f"x={copy}", "--port", "0", "--trust")
    assert code == 2
    assert err.endswith("is damaged: it is not a SavedModel; export the model again\n")


def test_a_launcher(folder, run_here, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    code, _, err = run_here("serve", folder, "--port", "0")
    assert code == 2
    assert "serve under a launcher, expected one process" in err


def test_the_options_become_those_of_the_server(folder, run_here, monkeypatch):
    found = {}

    def run(state, listener, **options):
        found.update(options=state.options, **options)
        listener.close()
        state.streams.close()
        for model in state.models.values():
            model.close()
        return True

    monkeypatch.setattr("tfdl.serving.server.run", run)
    sizes = ("--versions", "all", "--batch-timeout-ms", "2", "--max-body", "0.5", "--drain-seconds", "3")
    code, out, err = run_here("serve", f"x={folder}", "--port", "0", "--host", "0.0.0.0", *sizes)
    assert code == 0, err
    options = found["options"]
    assert (options.versions, options.batch_timeout, options.max_body) == (0, 0.002, 2**19)
    assert (found["host"], found["drain_seconds"]) == ("0.0.0.0", 3.0)
    loading, warning = err.splitlines()
    assert loading.endswith(" loading model x version 1")
    assert warning == "warning: 0.0.0.0 can be reached from other machines, and the server asks for no password"
    assert out.count("/v1/models/x/metadata") == 1


def test_a_command_for_an_export_that_writes_texts():
    """Its signature `generate` is asked with the method of this name."""
    text = TensorInfo("string", (None,))
    signatures = {"serving_default": {"text": text}, "generate": {"text": text, "seed": TensorInfo("int32", ())}}
    program = Program({name: Signature(name, inputs, {}) for name, inputs in signatures.items()}, {}, {})
    found = _example("http://x/v1/models/gpt", program)
    assert found == """curl -d '{"text": "TEXT", "max_new_tokens": 50}' http://x/v1/models/gpt:generate"""
