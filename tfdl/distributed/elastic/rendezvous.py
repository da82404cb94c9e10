"""Where the ranks of an elastic job wait for each other before Horovod connects them.

Horovod has one call that gets a rank from the launcher, connects to all other ranks, and aborts the process if that
fails: a new rank that dies or starts slowly ends all the others. Here a process gets its rank itself and waits until
all ranks have appeared. Only then does Horovod connect them. If a rank does not appear, the others ask the launcher
again, which then leaves that rank out.
"""

import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tfdl.errors import RunError

START_SECONDS = 120.0
"""How long the ranks wait for another rank to start; ``TFDL_START_SECONDS`` in the environment overrides it."""

# The launcher's answer has these numbers in this order.
_RANK_VARIABLES = (
    "HOROVOD_RANK",
    "HOROVOD_SIZE",
    "HOROVOD_LOCAL_RANK",
    "HOROVOD_LOCAL_SIZE",
    "HOROVOD_CROSS_RANK",
    "HOROVOD_CROSS_SIZE",
)
_ADDRESS_VARIABLE = "HOROVOD_GLOO_RENDEZVOUS_ADDR"
_PORT_VARIABLE = "HOROVOD_GLOO_RENDEZVOUS_PORT"
_POLL_SECONDS = 0.1
# Ranks above 0 wait for rank 0's decision for so much longer than rank 0 waits for all ranks.
_DECISION_MARGIN_SECONDS = 10.0


class RemovedError(RunError):
    """This process has no rank in the job any more; the other ranks may continue.

    The process exits with code 1, which the launcher ignores.
    """


class ElasticRendezvous:
    """Gets this process's rank from the launcher, with the launcher's key-value store.

    The launcher empties the store for each new set of ranks.
    """

    def __init__(self) -> None:
        self._store_url = f"http://{os.environ[_ADDRESS_VARIABLE]}:{os.environ[_PORT_VARIABLE]}"
        # Without the user's HTTP proxy: the launcher is on the job's own network.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        self._start_seconds = float(os.environ.get("TFDL_START_SECONDS", START_SECONDS))
        self._rank_and_size = ""
        self._proxy: ThreadingHTTPServer | None = None

    def meet(self, *, is_launched: bool = False) -> None:
        """Waits until all ranks of one set have appeared, and puts this process's rank into the environment.

        Blocks while the launcher has fewer ranks than it needs.

        Args:
            is_launched: the launcher has just started this process, with a rank in its environment.

        Raises:
            RemovedError: the launcher has no rank for this process, or has ended.
        """
        if not is_launched:
            self._request_rank()
        while not self._are_all_ready():
            self._request_rank()

    def start_proxy(self) -> None:
        """Starts a local server that stands between Horovod and the launcher's store.

        When Horovod is initialized again, it requests a rank itself, which the launcher would count as another rank.
        The proxy answers that request, and passes on all others.
        """
        if self._proxy is not None:
            return
        # The server makes a handler for each request, so the handler's class holds the rendezvous.
        handler = type("ProxyHandler", (_ProxyHandler,), {"rendezvous": self})
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=self._proxy.serve_forever, daemon=True).start()
        os.environ[_ADDRESS_VARIABLE] = "127.0.0.1"
        os.environ[_PORT_VARIABLE] = str(self._proxy.server_port)

    def answer(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Answers a request to the store: from the launcher, or with this process's rank if that is requested.

        Args:
            method: the HTTP method.
            path: the path of the URL.
            body: what is sent with ``PUT``.

        Returns:
            HTTP status code and body.

        Raises:
            OSError: the launcher does not answer.
        """
        if path.startswith("/rank_and_size/"):
            return 200, self._rank_and_size.encode()
        request = urllib.request.Request(self._store_url + path, data=body, method=method)
        try:
            with self._open(request) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    def _request_rank(self) -> None:
        """Gets a rank. The launcher answers when every rank has requested one, died or left."""
        key = f"{os.environ['HOROVOD_HOSTNAME']}:{os.environ['HOROVOD_LOCAL_RANK']}"
        try:
            with self._open(f"{self._store_url}/rank_and_size/{key}") as response:
                self._rank_and_size = response.read().decode()
        except OSError as error:
            raise _launcher_ended(error) from error
        numbers = self._rank_and_size.split(",")
        if int(numbers[0]) < 0:
            raise RemovedError("this host was removed from the list of hosts; the other ranks continue without it")
        os.environ.update(dict(zip(_RANK_VARIABLES, numbers, strict=True)))

    def _are_all_ready(self) -> bool:
        """Whether all ranks have appeared in time. Rank 0 decides for all, so that no rank connects alone."""
        rank = int(os.environ["HOROVOD_RANK"])
        size = int(os.environ["HOROVOD_SIZE"])
        self._put(f"ready/{rank}", b"yes")
        if rank > 0:
            decision = self._wait_for("decision/all", self._start_seconds + _DECISION_MARGIN_SECONDS)
            return decision == b"connect"
        deadline = time.monotonic() + self._start_seconds
        are_ready = all(
            self._wait_for(f"ready/{other_rank}", deadline - time.monotonic()) for other_rank in range(size)
        )
        self._put("decision/all", b"connect" if are_ready else b"ask again")
        return are_ready

    def _wait_for(self, key: str, seconds: float) -> bytes:
        """The value of a key as soon as it exists; empty after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            code, value = self._request("GET", key)
            if code == 200:
                return value
            if time.monotonic() > deadline:
                return b""
            time.sleep(_POLL_SECONDS)

    def _put(self, key: str, value: bytes) -> None:
        self._request("PUT", key, value)

    def _request(self, method: str, key: str, value: bytes | None = None) -> tuple[int, bytes]:
        try:
            return self.answer(method, f"/tfdl_{key}", value)
        except OSError as error:
            raise _launcher_ended(error) from error


def _launcher_ended(error: OSError) -> RemovedError:
    return RemovedError(f"the launcher has ended ({error}); continue from the last checkpoint with --resume")


class _ProxyHandler(BaseHTTPRequestHandler):
    """Passes HTTP requests on to the launcher's store."""

    rendezvous: ElasticRendezvous

    def do_GET(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def log_message(self, *_: object) -> None:
        """Logs nothing; the base class would print each request."""

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if self.command == "PUT" else None
        try:
            code, value = self.rendezvous.answer(self.command, self.path, body)
        except OSError:
            code = 503
            value = b""
        self.send_response(code)
        self.send_header("Content-Length", str(len(value)))
        self.end_headers()
        self.wfile.write(value)
