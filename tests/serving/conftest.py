"""Small models, and servers in a thread of this process."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import uvicorn

from tests.serving.asking import Client
from tests.serving.slow_model import Slow, program_of
from tfdl.serving.body_room import BodyRoom
from tfdl.serving.listening import listen, names_of
from tfdl.serving.metrics import Metrics
from tfdl.serving.model import Model
from tfdl.serving.options import ServeOptions
from tfdl.serving.program import Program
from tfdl.serving.server import config_of, open_state, watch
from tfdl.serving.sources import ModelSource, find_sources
from tfdl.serving.state import ServerState
from tfdl.serving.streams import Streams

QUICK = {"poll_seconds": 0.0, "request_timeout": 30.0}


def write_saved_model(folder: Path, functions: Mapping[str, Any], description: Any = None, owner: Any = None) -> Path:
    """A SavedModel of some functions, which says that tfdl wrote it.

    Args:
        folder: of the SavedModel.
        functions: signature -> a ``tf.function`` with an input signature.
        description: of the model; ``None`` stands for a short one.
        owner: the module that has the variables.
    """
    module = owner or tf.Module()
    tf.saved_model.save(module, str(folder), signatures=dict(functions))
    (folder / "assets.extra").mkdir()
    text = json.dumps(description or {"tfdl_version": "0.1.0", "task": "toy", "model": "toy"})
    (folder / "assets.extra" / "tfdl.json").write_text(text, encoding="utf-8")
    return folder


@contextmanager
def running(state: ServerState, host: str = "127.0.0.1") -> Iterator[Client]:
    """A server in a thread, and a thread that looks for new versions.

    Args:
        state: its models.
        host: to listen at.
    """
    is_ending = threading.Event()
    watcher = threading.Thread(target=watch, args=(state, is_ending))
    watcher.start()
    listener = listen(host, 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(config_of(state, names_of(listener, host)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Client(port, host)
    finally:
        is_ending.set()
        server.should_exit = True
        watcher.join()
        thread.join()
        state.streams.close()
        for model in state.models.values():
            model.close()


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """``serving("name=path", ..., **options)``: a server of these models in a context."""

    def start(*arguments: Any, **options: Any) -> Any:
        return running(open_state(find_sources([str(argument) for argument in arguments]), options_of(options)))

    return start


def options_of(changes: Mapping[str, Any]) -> ServeOptions:
    """The options of a server that is only asked by tests."""
    return ServeOptions(**{**QUICK, **changes})


def state_of_programs(programs: Mapping[str, Program], **options: Any) -> ServerState:
    """A server of models that are in memory.

    Args:
        programs: by name.
        **options: of the server.
    """
    settings = options_of(options)
    metrics = Metrics()
    models = {}
    for name, program in programs.items():
        models[name] = Model(ModelSource(name, Path(name), "run"), lambda *_, it=program: it, settings, metrics)
        models[name].load_first()
    return ServerState(models, settings, metrics, Streams(settings.max_streams), BodyRoom(4 * settings.max_body))


@pytest.fixture
def slow():
    """A model that waits where a test says so."""
    model = Slow()
    yield model
    model.may_run.set()


@pytest.fixture
def server(slow):
    """``server(**options)`` starts a server of the model ``slow``, and returns a client of it."""
    contexts = []

    def start(**options):
        state = state_of_programs({"slow": program_of(slow)}, **options)
        context = running(state)
        contexts.append(context)
        client = context.__enter__()
        client.state = state
        return client

    yield start
    slow.may_run.set()
    for context in contexts:
        context.__exit__(None, None, None)
