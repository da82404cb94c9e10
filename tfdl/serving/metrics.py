"""What a server counts, in the text format of Prometheus."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass
class _Histogram:
    """Observations that are at most as large as each bound, their number and their sum."""

    counts: list[int]
    total: int = 0
    sum: float = 0.0


@dataclass
class _Family:
    """A metric with all its labels."""

    name: str
    help: str
    bounds: tuple[float, ...] = ()
    values: dict[Labels, float] = field(default_factory=dict)
    histograms: dict[Labels, _Histogram] = field(default_factory=dict)


class Metrics:
    """Counters and histograms of a server. Its methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = _Family("tfdl_requests_total", "Requests by what they asked for and the HTTP status.")
        self._seconds = _Family("tfdl_request_duration_seconds", "Seconds until a request was answered.", _SECONDS)
        self._rows = _Family("tfdl_batch_size", "Rows of a call of a model.", _ROWS)
        self._tokens = _Family("tfdl_generated_tokens_total", "Tokens of texts that were written.")

    def count_request(self, model: str, version: str, method: str, signature: str, status: int, seconds: float) -> None:
        """Counts a request.

        Args:
            model: its name; empty if there is no such model, so that clients cannot make labels.
            version: its number; empty without one.
            method: such as ``predict``.
            signature: its name; empty without one.
            status: of HTTP.
            seconds: until it was answered.
        """
        labels = (("model", model), ("version", version), ("method", method), ("signature", signature))
        with self._lock:
            _add(self._requests, (*labels, ("code", str(status))), 1)
            _observe(self._seconds, labels, seconds)

    def count_call(self, model: str, version: int, signature: str, rows: int) -> None:
        """Counts a call of a model.

        Args:
            model: its name.
            version: its number.
            signature: its name.
            rows: that were computed together.
        """
        labels = (("model", model), ("version", str(version)), ("signature", signature))
        with self._lock:
            _observe(self._rows, labels, rows)

    def count_tokens(self, model: str, version: int, tokens: int) -> None:
        """Counts the tokens of a text.

        Args:
            model: its name.
            version: its number.
            tokens: that were written.
        """
        with self._lock:
            _add(self._tokens, (("model", model), ("version", str(version))), tokens)

    def text(self, queues: Callable[[], Sequence[tuple[str, int, int]]]) -> str:
        """Everything, as Prometheus reads it.

        Args:
            queues: returns model, version and waiting requests of each version.
        """
        queue = _Family("tfdl_queue_length", "Requests that wait for a model or are computed.")
        for model, version, length in queues():
            _add(queue, (("model", model), ("version", str(version))), length)
        with self._lock:
            lines = _counter(self._requests) + _histogram(self._seconds) + _histogram(self._rows)
            lines += _counter(self._tokens) + _counter(queue, "gauge")
        return "\n".join(lines) + "\n"


def _add(family: _Family, labels: Labels, amount: float) -> None:
    family.values[labels] = family.values.get(labels, 0) + amount


def _observe(family: _Family, labels: Labels, value: float) -> None:
    histogram = family.histograms.get(labels)
    if histogram is None:
        histogram = family.histograms[labels] = _Histogram([0] * len(family.bounds))
    histogram.total += 1
    histogram.sum += value
    for index, bound in enumerate(family.bounds):
        if value <= bound:
            histogram.counts[index] += 1


def _counter(family: _Family, kind: str = "counter") -> list[str]:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {kind}"]
    return lines + [f"{family.name}{_braces(labels)} {_number(value)}" for labels, value in family.values.items()]


def _number(value: float) -> str:
    """All digits of a whole number: a counter beyond a million would stand still otherwise."""
    return str(int(value)) if value == int(value) else repr(value)


def _histogram(family: _Family) -> list[str]:
    lines = [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} histogram"]
    for labels, histogram in family.histograms.items():
        for bound, count in zip(family.bounds, histogram.counts, strict=True):
            lines.append(f"{family.name}_bucket{_braces((*labels, ('le', f'{bound:g}')))} {count}")
        lines.append(f"{family.name}_bucket{_braces((*labels, ('le', '+Inf')))} {histogram.total}")
        lines.append(f"{family.name}_sum{_braces(labels)} {_number(histogram.sum)}")
        lines.append(f"{family.name}_count{_braces(labels)} {histogram.total}")
    return lines


def _braces(labels: Labels) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
