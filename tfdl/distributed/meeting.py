"""Where the ranks of an elastic job meet before Horovod joins them.

Horovod's own way is one call that asks the launcher for a place, then connects to all other ranks, and aborts the
process where that fails: one new rank that dies or starts slowly takes all others with it. Here a rank asks for its
place itself, waits until all ranks have shown up, and only then lets Horovod connect them; where one does not show up,
the launcher is asked again, and counts it out.
"""

import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tfdl.errors import RunError

START_SECONDS = 120.0
"""How long the others wait for a rank to start; ``TFDL_START_SECONDS`` in the environment sets another."""

_NUMBERS = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")  # in the launcher's order
_ADDRESS, _PORT = "HOROVOD_GLOO_RENDEZVOUS_ADDR", "HOROVOD_GLOO_RENDEZVOUS_PORT"
_POLL_SECONDS = 0.1


class RemovedError(RunError):
    """This rank has no place in the job any more, which may go on without it. Exit code 1; the launcher ignores it."""


class MeetingPlace:
    """The launcher's store of keys and values, which is emptied for each new set of ranks, and this rank's place."""

    def __init__(self) -> None:
        self._store = f"http://{os.environ[_ADDRESS]}:{os.environ[_PORT]}"
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._seconds = float(os.environ.get("TFDL_START_SECONDS", START_SECONDS))
        self._place = ""
        self._stand_in: ThreadingHTTPServer | None = None

    def meet(self, *, launched: bool = False) -> None:
        """Returns when all ranks of one size are there, with this one's place in the environment.

        Blocks while the launcher has fewer ranks than it needs.

        Args:
            launched: the launcher has just started this process with a place in its environment.

        Raises:
            RemovedError: there is no place for this rank, or no launcher.
        """
        if not launched:
            self._ask()
        while not self._all_there():
            self._ask()

    def stand_in(self) -> None:
        """From the second time on, Horovod asks for its place itself, which would count as another rank: answer it."""
        if self._stand_in is None:
            place = self

            class Handler(_StandIn):
                meeting = place

            self._stand_in = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            Thread(target=self._stand_in.serve_forever, daemon=True).start()
            os.environ[_ADDRESS], os.environ[_PORT] = "127.0.0.1", str(self._stand_in.server_port)

    def answer(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """The store's answer, or this rank's place where that is asked."""
        if path.startswith("/rank_and_size/"):
            return 200, self._place.encode()
        request = urllib.request.Request(self._store + path, data=body, method=method)
        try:
            with self._open(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    def _ask(self) -> None:
        """A place among the ranks that there are; the launcher answers when every rank has asked, died or left."""
        key = f"{os.environ['HOROVOD_HOSTNAME']}:{os.environ['HOROVOD_LOCAL_RANK']}"
        try:
            with self._open(f"{self._store}/rank_and_size/{key}") as response:
                self._place = response.read().decode()
        except OSError as error:
            raise RemovedError(f"the launcher is gone ({error}); --resume goes on from the last checkpoint") from error
        numbers = self._place.split(",")
        if int(numbers[0]) < 0:
            raise RemovedError("this host was taken off the list of hosts; the other ranks go on without it")
        os.environ.update({f"HOROVOD_{name}": number for name, number in zip(_NUMBERS, numbers, strict=True)})

    def _all_there(self) -> bool:
        """Whether all have shown up in time. Rank 0 decides, so that no rank goes on alone."""
        rank, size = (int(os.environ[f"HOROVOD_{name}"]) for name in ("RANK", "SIZE"))
        self._put(f"ready/{rank}", b"yes")
        if rank > 0:
            return self._wait("decision/all", self._seconds + 10.0) == b"connect"
        end = time.monotonic() + self._seconds
        there = all(self._wait(f"ready/{other}", end - time.monotonic()) for other in range(size))
        self._put("decision/all", b"connect" if there else b"ask again")
        return there

    def _wait(self, key: str, seconds: float) -> bytes:
        """The value once it is there; nothing where time is up."""
        end = time.monotonic() + seconds
        while True:
            code, value = self._request("GET", key)
            if code == 200:
                return value
            if time.monotonic() > end:
                return b""
            time.sleep(_POLL_SECONDS)

    def _put(self, key: str, value: bytes) -> None:
        self._request("PUT", key, value)

    def _request(self, method: str, key: str, value: bytes | None = None) -> tuple[int, bytes]:
        try:
            return self.answer(method, f"/tfdl_{key}", value)
        except OSError as error:
            raise RemovedError(f"the launcher is gone ({error}); --resume goes on from the last checkpoint") from error


class _StandIn(BaseHTTPRequestHandler):
    """Passes requests on to the launcher's store."""

    meeting: MeetingPlace

    def do_GET(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if self.command == "PUT" else None
        try:
            code, value = self.meeting.answer(self.command, self.path, body)
        except OSError:
            code, value = 503, b""
        self.send_response(code)
        self.send_header("Content-Length", str(len(value)))
        self.end_headers()
        self.wfile.write(value)
