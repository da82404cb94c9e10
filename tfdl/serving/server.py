"""Runs a server until a signal ends it."""

import logging
import socket
import sys
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from tfdl.errors import named_cause
from tfdl.serving.app import make_app
from tfdl.serving.body_room import BodyRoom
from tfdl.serving.guard import LOOPBACK
from tfdl.serving.listening import BACKLOG, names_of
from tfdl.serving.metrics import Metrics
from tfdl.serving.model import Model
from tfdl.serving.options import ServeOptions
from tfdl.serving.program import Program
from tfdl.serving.protocol import protocol_with
from tfdl.serving.run_program import load_run_program
from tfdl.serving.saved_model_program import load_saved_model_program
from tfdl.serving.sources import ModelSource
from tfdl.serving.state import ServerState
from tfdl.serving.streams import Streams

_LOGGER = logging.getLogger("tfdl.serving")
# After this time, a thread that computes lets another one run. With Python's 5 ms, a model's thread that has its answer
# waits that long for the event loop, and 8 clients got two thirds of the answers.
_SWITCH_SECONDS = 0.0005
# Bodies of the largest size that are read or converted at the same time.
_BODIES = 4
# How long the end waits for calls whose requests have been given up.
_CLOSING_SECONDS = 5.0
# Connections at a time. Each takes a file descriptor, of which a process often has 1,024.
_MOST_CONNECTIONS = 900


def open_state(sources: Sequence[ModelSource], options: ServeOptions) -> ServerState:
    """Loads models.

    Args:
        sources: where they come from.
        options: limits.

    Raises:
        UserError: a model cannot be loaded, or is not trusted.
        RunError: a damaged checkpoint.
    """

    def load(source: ModelSource, path: Path) -> Program:
        if source.kind == "run":
            return load_run_program(path, options.checkpoint)
        return load_saved_model_program(path, trust=options.trust)

    metrics = Metrics()
    models = {source.name: Model(source, load, options, metrics) for source in sources}
    for model in models.values():
        model.load_first()
    bodies = BodyRoom(_BODIES * options.max_body)
    return ServerState(models, options, metrics, Streams(options.max_streams), bodies)


def config_of(
    state: ServerState, hosts: Collection[str] | None = LOOPBACK, drain_seconds: float = 30.0
) -> uvicorn.Config:
    """What uvicorn must know.

    Args:
        state: of the server.
        hosts: names that the server has; ``None`` stands for any.
        drain_seconds: how long it waits for answers at the end.
    """
    return uvicorn.Config(
        make_app(state, hosts=hosts),
        http=protocol_with(state.options.request_timeout),
        access_log=False,
        log_config=None,
        log_level="critical",
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=drain_seconds,  # type: ignore[arg-type]  # fractions work too
    )


def run(state: ServerState, listener: socket.socket, *, host: str, drain_seconds: float) -> bool:
    """Answers requests until SIGINT or SIGTERM. Then it takes no more requests, and answers those that it has.

    Args:
        state: the models.
        listener: a socket that listens.
        host: the name or the address that it was opened with.
        drain_seconds: how long it waits for answers at the end. A second signal ends it at once.

    Returns:
        Whether all calls of models have ended. A call cannot be stopped, so the process must end without its threads.
    """
    config = config_of(state, names_of(listener, host), drain_seconds)
    sys.setswitchinterval(_SWITCH_SECONDS)
    is_ending = threading.Event()
    watcher = threading.Thread(target=watch, args=(state, is_ending), daemon=True)
    watcher.start()
    try:
        Server(config, state).run(sockets=[listener])
    finally:
        is_ending.set()
        has_ended = _closed(state, watcher)
    _LOGGER.info("the server has ended")
    return has_ended


def _closed(state: ServerState, watcher: threading.Thread) -> bool:
    """Frees all models; returns whether they were free in time."""

    def close() -> None:
        watcher.join()
        state.streams.close()
        for model in state.models.values():
            model.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(_CLOSING_SECONDS)
    if closing.is_alive():
        _LOGGER.error("a call of a model goes on after %g s; the server ends without it", _CLOSING_SECONDS)
    return not closing.is_alive()


class Server(uvicorn.Server):
    """Uvicorn's server, which ends with exit code 0 at a signal.

    Args:
        config: of uvicorn.
        state: is told that the server ends.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState):
        super().__init__(config)
        self._state = state

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Ends the server; at the second signal without waiting for answers."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._state.is_draining = True


def watch(state: ServerState, is_ending: threading.Event) -> None:
    """Looks for new versions until the server ends.

    Args:
        state: of the server.
        is_ending: set when it ends.
    """
    seconds = state.options.poll_seconds
    if not seconds:
        return
    while not is_ending.wait(seconds):
        for model in state.models.values():
            if model.source.kind != "versions":
                continue
            try:
                model.refresh()
            except Exception as error:  # the server goes on with the versions that it has
                _LOGGER.error("looking for versions of %s failed: %s", model.name, named_cause(error))
