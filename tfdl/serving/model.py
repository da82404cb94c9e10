"""A model with its versions: loads new ones, and retires old ones without losing a request."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tfdl.errors import RunError, UserError, first_line, in_one_line
from tfdl.serving.errors import NOT_FOUND, OVERLOADED, RequestError
from tfdl.serving.metrics import Metrics
from tfdl.serving.options import ServeOptions
from tfdl.serving.program import Program
from tfdl.serving.sources import ModelSource
from tfdl.serving.version import Version
from tfdl.serving.version_state import AVAILABLE, END, LOADING, UNLOADING, Stamp, VersionState, stamp_of
from tfdl.serving.warm_up import warm_up

_LOGGER = logging.getLogger("tfdl.serving")
# Paths of this machine are for the log alone.
_PATH = re.compile(r"(?<![\w.])/[^'\"\s]+")
# Versions that have ended, or cannot be loaded, whose state is still reported.
_MOST_ENDED = 16


class Model:
    """The versions of one model.

    Args:
        source: where it comes from.
        load: loads a version's folder.
        options: limits.
        metrics: counts calls.
    """

    def __init__(
        self, source: ModelSource, load: Callable[[ModelSource, Path], Program], options: ServeOptions, metrics: Metrics
    ):
        self.name = source.name
        self.source = source
        self._load = load
        self._options = options
        self._metrics = metrics
        self._lock = threading.Lock()
        self._versions: dict[int, Version] = {}
        self._states: dict[int, VersionState] = {}
        self._failed: dict[int, Stamp] = {}
        self._seen: dict[int, Stamp] = {}

    @property
    def numbers(self) -> list[int]:
        """Of the versions that answer, the newest first."""
        return sorted(self._versions, reverse=True)

    def queues(self) -> list[tuple[str, int, int]]:
        """Name, version and waiting requests of each version."""
        with self._lock:
            return [(self.name, number, version.batcher.num_requests) for number, version in self._versions.items()]

    def newest(self) -> Version:
        """The version that answers a request without a version.

        Raises:
            RequestError: none is loaded.
        """
        with self._lock:
            if not self._versions:
                raise RequestError(OVERLOADED, f"model {self.name!r} has no version that is loaded; try again later", 1)
            return self._versions[max(self._versions)]

    @contextmanager
    def use(self, number: int | None) -> Iterator[Version]:
        """A version, which stays loaded within the block.

        Args:
            number: of the version; ``None`` stands for the newest.

        Raises:
            RequestError: no such version.
        """
        version = self._taken(number)
        try:
            yield version
        finally:
            version.give_back()

    def _taken(self, number: int | None) -> Version:
        while True:
            version = self.newest() if number is None else self._versions.get(number)
            if version is None:
                raise self._unknown(number)
            # A version that was retired since then has a successor.
            if version.take():
                return version
            if number is not None:
                raise self._unknown(number)

    def _unknown(self, number: int | None) -> RequestError:
        loaded = ", ".join(map(str, self.numbers)) or "none"
        return RequestError(NOT_FOUND, f"model {self.name!r} has no version {number}; loaded: {loaded}")

    def states(self, number: int | None = None) -> list[VersionState]:
        """The states of all versions, the newest first, or of one.

        Args:
            number: of one version.

        Raises:
            RequestError: no such version.
        """
        with self._lock:
            states = sorted(self._states.values(), key=lambda state: -state.number)
        if number is None:
            return states
        found = [state for state in states if state.number == number]
        if not found:
            raise self._unknown(number)
        return found

    def load_first(self) -> None:
        """Loads the newest versions when the server starts. An older one replaces one that cannot be loaded.

        Raises:
            UserError: none can be loaded. It is the error of the newest one.
            RunError: as ``UserError``, for a damaged checkpoint.
        """
        on_disk = self.source.versions()
        most = self._options.versions or len(on_disk)
        first_error: Exception | None = None
        for number in sorted(on_disk, reverse=True):
            stamp = stamp_of(on_disk[number])
            _LOGGER.info("loading model %s version %d", self.name, number)
            try:
                self._add(number, self._load(self.source, on_disk[number]))
            except (UserError, RunError) as error:
                if self.source.kind != "versions":
                    raise
                first_error = first_error or error
                self._note_failure(number, stamp, error)
            if len(self._versions) == most:
                return
        if first_error is not None and not self._versions:
            raise first_error

    def refresh(self) -> None:
        """Loads versions that are new on the disk, and retires those that are too old.

        A version is loaded when its files have not changed between two calls, since somebody may still copy them.
        """
        on_disk = self.source.versions()
        wanted = self._wanted(on_disk)
        for number, path in wanted.items():
            if number not in self._versions:
                self._load_when_complete(number, path)
        for number in set(self._failed) - set(on_disk):
            self._forget(number)
        if not wanted:
            return  # somebody removed all versions: the last one goes on
        for number in [number for number in self._versions if number not in wanted]:
            # An old version answers as long as none of its successors does.
            if any(newer in wanted for newer in self._versions):
                self._retire(number)

    def close(self) -> None:
        """Retires all versions."""
        for number in self.numbers:
            self._retire(number, in_background=False)

    def _wanted(self, on_disk: dict[int, Path]) -> dict[int, Path]:
        """The newest versions, the newest one last."""
        numbers = sorted(on_disk)
        if self._options.versions:
            numbers = numbers[-self._options.versions :]
        return {number: on_disk[number] for number in numbers}

    def _load_when_complete(self, number: int, path: Path) -> None:
        stamp = stamp_of(path)
        is_settled = self._seen.get(number) == stamp
        self._seen[number] = stamp
        if not is_settled or self._failed.get(number) == stamp:
            return
        self._set_state(VersionState(number, LOADING))
        _LOGGER.info("loading model %s version %d", self.name, number)
        try:
            self._add(number, self._load(self.source, path))
        except Exception as error:  # the old version goes on, whatever is wrong with the new one
            self._note_failure(number, stamp, error)
        else:
            self._failed.pop(number, None)
            _LOGGER.info("model %s version %d is loaded", self.name, number)

    def _note_failure(self, number: int, stamp: Stamp, error: Exception) -> None:
        """A version cannot be loaded. It is not tried again until its files change."""
        self._failed[number] = self._seen[number] = stamp
        reason = in_one_line(str(error) if isinstance(error, UserError) else first_line(error))
        _LOGGER.error("model %s version %d was not loaded: %s", self.name, number, reason)
        # A relative path of the command line is one too.
        self._set_state(VersionState(number, END, _PATH.sub("...", reason.replace(f"'{self.source.path}", "'..."))))

    def _add(self, number: int, program: Program) -> None:
        warm_up(program)

        def count(signature: str, rows: int) -> None:
            self._metrics.count_call(self.name, number, signature, rows)

        version = Version(number, program, self._options, count)
        with self._lock:
            self._versions[number] = version
        self._set_state(VersionState(number, AVAILABLE))

    def _retire(self, number: int, *, in_background: bool = True) -> None:
        with self._lock:
            version = self._versions.pop(number)
        self._set_state(VersionState(number, UNLOADING))

        def end() -> None:
            version.retire()
            self._set_state(VersionState(number, END))

        def end_in_background() -> None:
            end()
            _LOGGER.info("model %s version %d is unloaded", self.name, number)

        if in_background:
            threading.Thread(target=end_in_background, daemon=True).start()
        else:
            end()

    def _set_state(self, state: VersionState) -> None:
        with self._lock:
            self._states.pop(state.number, None)
            self._states[state.number] = state
            ended = [number for number, other in self._states.items() if other.state == END]
            for number in ended[:-_MOST_ENDED]:
                del self._states[number]

    def _forget(self, number: int) -> None:
        """A version that could not be loaded was removed."""
        with self._lock:
            self._states.pop(number, None)
        self._failed.pop(number, None)
        self._seen.pop(number, None)
