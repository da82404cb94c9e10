"""Ranks that srun started connect together, or not at all.

When Horovod connects the ranks, it waits 30 seconds for the others and then aborts the process. So it must begin only
when all ranks have started, which may take minutes if they read Python's packages over a network. Rank 0 decides when
that is, and the others follow. A rank that a signal has asked to stop reports it before the decision; then all ranks
stop.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from tfdl.distributed.held_signals import HeldSignals
from tfdl.distributed.store_client import StoreClient
from tfdl.errors import RunError, StoppedBetweenStepsError, mark_agreed

_CONNECT = "connect"
_POLL_SECONDS = 0.2
# With more ranks than this, each of them asks less often: rank 0 must answer all.
_RANKS_AT_FULL_RATE = 200
# Ranks above 0 wait for rank 0's decision for so much longer than rank 0 waits for them.
_DECISION_MARGIN_SECONDS = 10.0
# How long rank 0 may not answer before it is taken for lost.
_SILENCE_SECONDS = 10.0
# How long rank 0 waits until the others have read that no rank connects.
_DELIVERY_SECONDS = 5.0
# A message that would list more ranks than this names the first ones.
_MAX_LISTED_RANKS = 8


def stopped_at_start(name: str) -> StoppedBetweenStepsError:
    """The error of a rank that a signal asked to stop before the ranks were connected.

    Args:
        name: of the signal.
    """
    return StoppedBetweenStepsError(f"stopped by {name} while no training steps ran; continue with --resume")


def follow_rank_0(store: StoreClient, rank: int, size: int, seconds: float, signals: HeldSignals) -> None:
    """Waits on a rank above 0 until all ranks have started.

    Args:
        store: of rank 0.
        rank: this rank.
        size: the number of ranks.
        seconds: how long rank 0 waits for the ranks.
        signals: that are held meanwhile.

    Raises:
        StoppedBetweenStepsError: a rank was asked to stop.
        RunError: a rank did not start in time, or rank 0 has ended.
    """
    poll_seconds = _POLL_SECONDS * max(1.0, size / _RANKS_AT_FULL_RATE)
    begin = time.monotonic()
    deadline = begin + seconds + _DECISION_MARGIN_SECONDS
    last_answer = begin
    is_ready = False
    has_reported_signal = False
    while True:
        try:
            if not is_ready:
                store.put(f"ready-{rank}", "yes")
                is_ready = True
            if signals.name and not has_reported_signal:
                store.put(f"stop-{rank}", signals.name)
                has_reported_signal = True
            decision = store.get("decision")
            last_answer = time.monotonic()
        except OSError as error:
            if signals.name:
                raise stopped_at_start(signals.name) from None  # so has rank 0
            if time.monotonic() - last_answer > _SILENCE_SECONDS:
                raise RunError(f"rank 0 has ended before all ranks had started ({error}); see its own error") from None
            decision = ""
        if decision == _CONNECT:
            return
        if decision:
            store.put(f"read-{rank}", "yes")
            raise _error_of(decision)
        if time.monotonic() > deadline:
            raise RunError(f"rank 0 has not decided in {seconds:.0f} s whether all ranks have started")
        time.sleep(poll_seconds)


def decide(entries: Callable[[], Mapping[str, str]], publish: Callable[[str], None], size: int, seconds: float,
           signals: HeldSignals) -> None:  # fmt: skip
    """Waits on rank 0 until all ranks have started, and tells them.

    Args:
        entries: returns the keys and values of the store.
        publish: writes the decision into it.
        size: the number of ranks.
        seconds: how long to wait for the ranks.
        signals: that are held meanwhile.

    Raises:
        StoppedBetweenStepsError: a rank was asked to stop.
        RunError: a rank did not start in time.
    """
    deadline = time.monotonic() + seconds
    while not (decision := _decision(entries(), size, signals.name, time.monotonic() > deadline, seconds)):
        time.sleep(_POLL_SECONDS)
    publish(decision)
    if decision == _CONNECT:
        return
    delivery_deadline = time.monotonic() + _DELIVERY_SECONDS
    while _unread(entries()) and time.monotonic() < delivery_deadline:
        time.sleep(_POLL_SECONDS)
    raise _error_of(decision)


def _decision(entries: Mapping[str, str], size: int, own_signal: str, is_late: bool, seconds: float) -> str:
    """``connect``, ``stop SIGNAL``, or an error message; empty while ranks may still start."""
    reported = [value for key, value in entries.items() if key.startswith("stop-")]
    if own_signal or reported:
        return f"stop {own_signal or reported[0]}"
    missing = [rank for rank in range(1, size) if f"ready-{rank}" not in entries]
    if not missing:
        return _CONNECT
    if is_late:
        return (
            f"{_list_ranks(missing)} did not start within {seconds:.0f} s of rank 0; look for"
            f" {'its' if len(missing) == 1 else 'their'} error, or allow more time with TFDL_START_SECONDS"
        )
    return ""


def _unread(entries: Mapping[str, str]) -> list[str]:
    """The ranks that wait for the decision."""
    ready = [key.removeprefix("ready-") for key in entries if key.startswith("ready-")]
    return [rank for rank in ready if f"read-{rank}" not in entries]


def _error_of(decision: str) -> RunError:
    word, _, name = decision.partition(" ")
    if word == "stop":
        return stopped_at_start(name)
    error = RunError(decision)
    mark_agreed(error)
    return error


def _list_ranks(ranks: Sequence[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    names = ", ".join(str(rank) for rank in ranks[:_MAX_LISTED_RANKS])
    num_more = len(ranks) - _MAX_LISTED_RANKS
    return f"ranks {names} and {num_more} more" if num_more > 0 else f"ranks {names}"
