"""Requests that a server must refuse, and that end nothing but themselves."""

import asyncio
import json
import re
import select
import socket
import threading
from contextlib import suppress

import numpy as np
import pytest

from tests.serving.conftest import running, state_of_programs
from tests.serving.slow_model import ONE, PATH, program_of, raw
from tfdl.serving.errors import RequestError
from tfdl.serving.listening import listen, names_of
from tfdl.serving.metrics import Metrics
from tfdl.serving.server import _closed


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
        assert ("allow" in headers) == (status == 405)
    assert client.send("GET", PATH)[2]["allow"] == "POST"
    assert client.send("PUT", "/v1/models/slow")[2]["allow"] == "GET, HEAD"


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


def test_headers_that_take_too_long(server):
    """A first request, and one after an answer; each byte of it does not give it more time."""
    client = server(request_timeout=0.3)
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    assert raw(client, head) == b""
    assert raw(client, b"") == b""
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as connection:
        connection.sendall(head + b"\r\n")
        answer = b""
        while not answer.endswith(b"}\n"):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        with suppress(ConnectionError):
            while not select.select([connection], [], [], 0.02)[0]:
                connection.sendall(b"X")
            assert connection.recv(65536) == b""


@pytest.mark.parametrize("host", ["127.0.0.2", "127.1", "LocalHost"])
def test_names_of_a_server(host):
    listener = listen(host, 0)
    names = names_of(listener, host)
    address = listener.getsockname()[0]
    listener.close()
    assert names == {"localhost", "127.0.0.1", "[::1]", address, host.lower()}


def test_a_server_that_others_can_reach_has_any_name():
    listener = listen("0.0.0.0", 0)
    assert names_of(listener, "0.0.0.0") is None
    listener.close()


def test_another_address_of_this_machine(slow):
    state = state_of_programs({"slow": program_of(slow)})
    with running(state, host="127.0.0.2") as client:
        status, _, _ = client.send("GET", "/healthz", headers={"Host": f"127.0.0.2:{client.port}"})
        assert status == 200
        assert client.send("GET", "/healthz", headers={"Host": "evil.example"})[0] == 403


def test_the_log_of_requests(server, caplog):
    caplog.set_level("INFO", "tfdl.serving")
    client = server(log_requests=True)
    client.ask("slow", ONE)
    client.get("/v1/models/a%0Ab")
    client.send("GET", "/healthz", headers={"Host": "evil.example"})
    client.send("GET", "/v1/models")
    first, *lines = [record.getMessage() for record in caplog.records]
    assert first == "loading model slow version 1"
    shape = re.compile(r"127\.0\.0\.1 (.*) \d+\.\d ms")
    assert [shape.fullmatch(line)[1] for line in lines][:3] == [
        "POST /v1/models/slow:predict 200",
        "GET /v1/models/a\\nb 404",
        "GET /healthz 403",
    ]


def test_an_end_is_bounded(slow, caplog, monkeypatch):
    """A call that goes on although nobody waits for it."""
    monkeypatch.setattr("tfdl.serving.server._CLOSING_SECONDS", 0.1)
    state = state_of_programs({"slow": program_of(slow)})
    (model,) = state.models.values()
    slow.may_run.clear()

    async def give_up():
        batcher = model.newest().batcher
        batcher.submit(model.newest().program.signatures["serving_default"], {"x": np.zeros(1, np.float32)}).cancel()
        slow.has_begun.clear()
        batcher.submit(model.newest().program.signatures["serving_default"], {"x": np.zeros(1, np.float32)})
        await asyncio.to_thread(slow.has_begun.wait, 60)

    asyncio.run(give_up())
    watcher = threading.Thread(target=lambda: None)
    watcher.start()
    assert not _closed(state, watcher)
    assert "a call of a model goes on after 0.1 s; the server ends without it" in caplog.text


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
    state = state_of_programs({"slow": program_of(slow)})
    with running(state) as client:
        state.is_draining = True
        assert client.get("/readyz") == (503, {"error": "the server is ending"})
        assert client.get("/healthz")[0] == 200
        state.is_draining = False
        state.models["slow"].close()
        assert client.get("/readyz") == (503, {"error": "not loaded: slow"})
        assert "has no version that is loaded" in client.error(PATH, ONE, 503)
        assert client.get("/v1/models") == (200, {"models": []})


def test_what_nobody_expected_is_logged(server, monkeypatch, caplog):
    client = server()

    def fail(models):  # noqa: ARG001
        raise ZeroDivisionError("in /home/me/secret.py")

    monkeypatch.setattr("tfdl.serving.api.overview", fail)
    status, content, _ = client.send("GET", "/v1/models")
    assert (status, json.loads(content)) == (
        500,
        {"error": "the server failed with ZeroDivisionError; its log has the error"},
    )
    assert "GET '/v1/models' failed" in caplog.text
    assert "in /home/me/secret.py" in caplog.text

    def refuse(models):  # noqa: ARG001
        raise RequestError(503, "retired meanwhile", 1)

    monkeypatch.setattr("tfdl.serving.api.overview", refuse)
    assert client.get("/v1/models") == (503, {"error": "retired meanwhile"})


def test_no_other_site_shows_the_page_in_a_frame(server):
    client = server()
    for path in ("/", "/index.html"):
        status, _, headers = client.send("GET", path)
        assert (status, headers["content-security-policy"]) == (200, "frame-ancestors 'none'")


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


def test_large_counts():
    """A counter of millions still counts one by one."""
    metrics = Metrics()
    metrics.count_tokens("gpt", 1, 12_345_677)
    metrics.count_tokens("gpt", 1, 1)
    metrics.count_request("gpt", "1", "predict", "x", 200, 0.5)
    lines = metrics.text(list).splitlines()
    assert 'tfdl_generated_tokens_total{model="gpt",version="1"} 12345678' in lines
    assert any("duration_seconds_sum" in line and line.endswith(" 0.5") for line in lines)


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
