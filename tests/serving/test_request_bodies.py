"""Bodies of requests: their kinds, sizes and times, and the room that they take."""

import json
import socket
import threading

import pytest

from tests.serving.asking import wait_until
from tests.serving.slow_model import ONE, PATH, raw
from tfdl.serving.json_body import read_object


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


def test_a_body_that_takes_too_long(server):
    client = server(request_timeout=0.2)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"
    answer = raw(client, head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"no whole body within 0.2 s" in answer


def test_a_body_that_takes_the_whole_time_to_read(server, monkeypatch):
    """It has arrived, so the client is not at fault."""
    may_read = threading.Event()

    def read(data):
        assert may_read.wait(60)
        return read_object(data)

    monkeypatch.setattr("tfdl.serving.api.read_object", read)
    client = server(request_timeout=0.2)
    body = b'{"instances": [' + b"1," * 50_000 + b"1]}"
    assert "no answer of the model within 0.2 s" in client.error(PATH, body, 504)
    may_read.set()


def test_large_bodies_are_converted_one_after_the_other(server, monkeypatch):
    running_now, most = 0, 0

    def read(data):
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        met.wait(0.05)  # time for another conversion to begin
        running_now -= 1
        return read_object(data)

    met = threading.Event()
    monkeypatch.setattr("tfdl.serving.api.read_object", read)
    client = server()
    body = b'{"instances": [' + b"1," * 50_000 + b"1]}"
    threads = [threading.Thread(target=client.post, args=(PATH, body)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_room_for_bodies(server):
    """Three clients have sent nearly all of the largest bodies, and none of them ends."""
    client = server(max_body=1000)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode()
    others = [socket.create_connection(("127.0.0.1", client.port), timeout=60) for _ in range(4)]
    for other in others:
        other.sendall(head + b" " * 990)
    bodies = client.state.bodies
    wait_until(lambda: bodies.num_bytes == 4 * 990)
    status, content, headers = client.send("POST", PATH, b" " * 100 + json.dumps(ONE).encode())
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert b"the bodies of other requests take all the room" in content
    for other in others:
        other.close()
    wait_until(lambda: bodies.num_bytes == 0)
    assert client.ask("slow", ONE) == {"predictions": [1.0]}


def test_the_room_is_free_while_the_model_computes(server, slow):
    client = server()
    slow.may_run.clear()
    slow.has_begun.clear()
    first = threading.Thread(target=client.ask, args=("slow", ONE))
    first.start()
    assert slow.has_begun.wait(60)
    assert client.state.bodies.num_bytes == 0
    slow.may_run.set()
    first.join()


@pytest.mark.parametrize("head", ["Content-Length: 30000000", "Transfer-Encoding: chunked"])
def test_a_client_that_sends_too_much_gets_its_answer(server, head):
    """It sends all of its body before it reads."""
    client = server(max_body=100)
    data = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode()
    data += b"x" * 30_000_000 if "Length" in head else b"%x\r\n%s\r\n0\r\n\r\n" % (30_000_000, b"x" * 30_000_000)
    answer = raw(client, data)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_asks_before_it_sends(server):
    client = server(max_body=100)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    assert raw(client, head.encode()).startswith(b"HTTP/1.1 413 ")
