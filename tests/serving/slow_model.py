"""A model that answers when a test lets it, and how to send bytes to its server."""

import socket
import threading

import tensorflow as tf

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
