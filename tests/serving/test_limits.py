"""Requests that a server must refuse, and that end nothing but themselves."""

import json
import re
import socket
import threading
from contextlib import suppress

import pytest
import tensorflow as tf

from tests.serving.conftest import running, state_of_programs
from tfdl.serving.program import Program
from tfdl.serving.signature import Signature, TensorInfo

INFO = {"x": TensorInfo("float32", (None,))}
PATH = "/v1/models/slow:predict"
ONE = {"instances": [1.0]}


class Slow:
    """A model that answers 1 as soon as it is let go, and fails for 2."""

    def __init__(self):
        self.has_begun = threading.Event()
        self.may_run = threading.Event()
        self.may_run.set()

    def __call__(self, x):
        self.has_begun.set()
        assert self.may_run.wait(60)
        if 2 in x.numpy():
            raise tf.errors.InternalError(None, None, "/home/me/secret.py went wrong")
        return {"y": x}


@pytest.fixture
def slow():
    model = Slow()
    yield model
    model.may_run.set()


@pytest.fixture
def server(slow):
    contexts = []

    def start(**options):
        program = Program(
            {"serving_default": Signature("serving_default", INFO, {"y": INFO["x"]})}, {"serving_default": slow}, {}
        )
        context = running(state_of_programs({"slow": program}, **options))
        contexts.append(context)
        return context.__enter__()

    yield start
    slow.may_run.set()
    for context in contexts:
        context.__exit__(None, None, None)


def program_of(function):
    """A program of one signature."""
    signature = Signature("serving_default", INFO, {"y": INFO["x"]})
    return Program({"serving_default": signature}, {"serving_default": function}, {})


def raw(client, data):
    """What a server answers to bytes."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_addresses_and_methods(server):
    client = server()
    for method, path, status, message in (
        ("GET", PATH, 405, "GET is not for this address, expected POST"),
        ("PUT", "/v1/models/slow", 405, "PUT is not for this address, expected GET or HEAD"),
        ("POST", "/v1/models/slow/metadata", 405, "POST is not for this address, expected GET"),
        ("POST", "/v1/models/slow:explain", 404, "there is no method 'explain', expected one of :predict"),
        ("GET", "/v1/models/slow/", 404, "nothing is at 'slow/'"),
        ("GET", "/v1/models/slow/versions/x", 404, "nothing is at"),
        ("GET", "/v1/models/slow/versions/99999999999999999999999", 404, "nothing is at"),
        ("GET", "/v1/models/%F0%9F%98%80%0a", 404, "there is no model '\\U0001f600\\n'"),
        ("GET", "/v1", 404, "expected an address under /v1/models"),
        ("GET", "/../../etc/passwd", 404, "Not Found"),
        ("POST", "/metrics", 405, "Method Not Allowed"),
    ):
        found, content, headers = client.send(method, path, b"{}" if method == "POST" else None)
        assert (found, headers["content-type"]) == (status, "application/json"), path
        assert message in json.loads(content)["error"]


def test_bodies(server):
    client = server(max_body=100)
    for body, headers, status, message in (
        (b"", {}, 400, "the body is empty"),
        (b"x" * 101, {}, 413, "the body has 101 bytes, expected at most 100 bytes"),
        (iter([b"x" * 60, b"x" * 60]), {}, 413, "the body is larger than that"),
        (b"{}", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "Content-Type 'multipart/form-data'"),
        (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415, "charset 'utf-16', expected UTF-8"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "Content-Encoding 'gzip', expected a body that is not compressed"),
    ):
        found, content, _ = client.send("POST", PATH, body, headers)
        assert (found, message in json.loads(content)["error"]) == (status, True), content
    assert client.ask("slow", ONE) == {"predictions": [1.0]}
    charset = {"Content-Type": 'application/json; charset="UTF-8"'}
    assert client.send("POST", PATH, json.dumps(ONE), charset)[0] == 200


def test_other_web_sites(server):
    client = server()
    for headers, message in (
        ({"Host": "evil.example"}, "the header Host is 'evil.example', expected one of 127.0.0.1"),
        ({"Host": "localhost.evil.example:80"}, "the header Host is"),
        ({"Origin": "https://evil.example"}, "the header Origin is 'https://evil.example'"),
        ({"Origin": "null"}, "the header Origin is 'null'"),
    ):
        status, content, _ = client.send("POST", PATH, json.dumps(ONE), headers)
        assert (status, message in json.loads(content)["error"]) == (403, True), content
    for host in ("localhost", f"LOCALHOST:{client.port}", "[::1]:8501"):
        assert client.send("POST", PATH, json.dumps(ONE), {"Host": host})[0] == 200
    own = {"Host": "localhost:1", "Origin": "http://localhost:1"}
    status, _, headers = client.send("POST", PATH, json.dumps(ONE), own)
    assert status == 200
    assert "access-control-allow-origin" not in headers


def test_a_model_that_takes_too_long(server, slow):
    client = server(request_timeout=0.2)
    slow.may_run.clear()
    assert "no answer of the model within 0.2 s" in client.error(PATH, ONE, 504)
    slow.may_run.set()


def test_a_body_that_takes_too_long(server):
    client = server(request_timeout=0.2)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"
    answer = raw(client, head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"no whole body within 0.2 s" in answer


def test_a_full_queue(server, slow):
    client = server(max_queue=1)
    slow.may_run.clear()
    slow.has_begun.clear()
    first = threading.Thread(target=client.ask, args=("slow", ONE))
    first.start()
    assert slow.has_begun.wait(60)
    status, content, headers = client.send("POST", PATH, json.dumps(ONE))
    assert (status, headers["retry-after"]) == (503, "1")
    assert b"1 requests wait already" in content
    assert b'tfdl_queue_length{model="slow",version="1"} 1' in client.send("GET", "/metrics")[1]
    slow.may_run.set()
    first.join()


def test_a_model_that_fails(server, caplog):
    client = server()
    message = client.error(PATH, {"instances": [2.0]}, 500)
    assert message == "the model failed with InternalError; the server's log has the error"
    assert "/home/me/secret.py" in caplog.text
    assert client.ask("slow", ONE) == {"predictions": [1.0]}


def test_what_is_no_http(server):
    client = server()
    for data in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n", b"G" * 100_000):
        with suppress(ConnectionResetError):  # the server does not read all of it
            assert raw(client, data + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert client.ask("slow", ONE) == {"predictions": [1.0]}


def test_health_and_readiness(server, slow):
    client = server()
    assert client.get("/healthz") == (200, {"status": "alive"})
    assert client.get("/readyz") == (200, {"status": "ready"})
    assert slow.has_begun.is_set()  # the model was called before the first request


def test_readiness_while_the_server_ends(slow):
    program = Program(
        {"serving_default": Signature("serving_default", INFO, {"y": INFO["x"]})}, {"serving_default": slow}, {}
    )
    state = state_of_programs({"slow": program})
    with running(state) as client:
        state.is_draining = True
        assert client.get("/readyz") == (503, {"error": "the server is ending"})
        assert client.get("/healthz")[0] == 200
        state.is_draining = False
        state.models["slow"].close()
        assert client.get("/readyz") == (503, {"error": "not loaded: slow"})
        assert "has no version that is loaded" in client.error(PATH, ONE, 503)


def test_metrics(server):
    """Each line is one that Prometheus reads, and the numbers are right."""
    client = server()
    for _ in range(3):
        client.ask("slow", {"instances": [1.0, 1.0]})
    client.error("/v1/models/other:predict", ONE, 404)
    client.error(PATH, {"signature_name": 'no"\n'}, 400)
    status, content, headers = client.send("GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    values = parsed(content.decode())
    counts = {
        'model="slow",version="1",method="predict",signature="serving_default",code="200"': 3,
        'model="",version="",method="predict",signature="",code="404"': 1,
        'model="slow",version="1",method="predict",signature="",code="400"': 1,
    }
    assert {labels: values[f"tfdl_requests_total{{{labels}}}"] for labels in counts} == counts
    labels = 'model="slow",version="1",signature="serving_default"'
    assert values[f"tfdl_batch_size_count{{{labels}}}"] == 3
    assert values[f"tfdl_batch_size_sum{{{labels}}}"] == 6
    assert values[f'tfdl_batch_size_bucket{{{labels},le="1"}}'] == 0
    assert values[f'tfdl_batch_size_bucket{{{labels},le="+Inf"}}'] == 3
    labels = 'model="slow",version="1",method="predict",signature="serving_default"'
    buckets = [
        value for name, value in values.items() if name.startswith(f"tfdl_request_duration_seconds_bucket{{{labels}")
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == values[f"tfdl_request_duration_seconds_count{{{labels}}}"] == 3


def parsed(text):
    """Samples by name and labels; checks the grammar of Prometheus's text format."""
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
    sample = re.compile(rf"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{{{label}(?:,{label})*\}})?) (?P<value>[0-9.e+-]+|NaN)")
    kinds = {}
    values = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = sample.fullmatch(line)
            assert match, line
            assert match["name"] not in values
            values[match["name"]] = float(match["value"])
            family = re.sub("_(bucket|sum|count)$", "", match["name"].partition("{")[0])
            assert family in kinds or match["name"].partition("{")[0] in kinds
    assert set(kinds.values()) == {"counter", "histogram", "gauge"}
    return values
