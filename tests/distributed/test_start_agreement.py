"""The decision of rank 0 whether all ranks of srun connect, and what the other ranks make of it."""

import signal

import pytest

from tfdl.distributed import start_agreement
from tfdl.distributed.held_signals import HeldSignals
from tfdl.distributed.start_agreement import decide, follow_rank_0
from tfdl.errors import RunError, StoppedBetweenStepsError, is_agreed

SECONDS = 0.2


class Store:
    """The store of rank 0 without a network.

    Args:
        entries: what ranks have written already.
        is_reachable: whether it answers.
    """

    def __init__(self, entries=(), is_reachable=True):
        self.entries = dict(entries)
        self.is_reachable = is_reachable

    def get(self, key):
        if not self.is_reachable:
            raise ConnectionRefusedError("Connection refused")
        return self.entries.get(key, "")

    def put(self, key, value):
        self.get(key)
        self.entries[key] = value

    def decide(self, signals, size=3):
        decide(lambda: self.entries, lambda decision: self.put("decision", decision), size, SECONDS, signals)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    for name in ("_POLL_SECONDS", "_SILENCE_SECONDS", "_DELIVERY_SECONDS", "_DECISION_MARGIN_SECONDS"):
        monkeypatch.setattr(start_agreement, name, 0.05)


@pytest.fixture
def signals():
    """With a handler of SIGUSR1 that does nothing; without one, HeldSignals would leave the default action."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    with HeldSignals([signal.SIGUSR1]) as held:
        yield held
    signal.signal(signal.SIGUSR1, before)


def test_all_ranks_have_started(signals):
    store = Store({"ready-1": "yes", "ready-2": "yes"})
    store.decide(signals)
    assert store.entries["decision"] == "connect"
    follow_rank_0(store, 1, 3, SECONDS, signals)
    assert "read-1" not in store.entries


def test_a_missing_rank_is_named_on_all_ranks(signals):
    store = Store({"ready-2": "yes", "read-2": "yes"})
    with pytest.raises(RunError, match="rank 1 did not start within 0 s of rank 0; look for its error") as own:
        store.decide(signals)
    with pytest.raises(RunError, match="rank 1 did not start") as other:
        follow_rank_0(store, 2, 3, SECONDS, signals)
    assert is_agreed(own.value)
    assert is_agreed(other.value)
    assert store.entries["read-2"] == "yes"


@pytest.mark.parametrize("where", ["rank 0", "another rank"])
def test_a_signal_stops_all_ranks(signals, where):
    store = Store({"ready-1": "yes", "ready-2": "yes"})
    if where == "rank 0":
        signal.raise_signal(signal.SIGUSR1)
    else:
        store.put("stop-2", "SIGUSR1")
    with pytest.raises(StoppedBetweenStepsError, match="stopped by SIGUSR1"):
        store.decide(signals)
    with pytest.raises(StoppedBetweenStepsError, match="stopped by SIGUSR1"):
        follow_rank_0(store, 1, 3, SECONDS, HeldSignals())


def test_a_signal_after_the_decision_waits_until_the_ranks_are_connected():
    handled = []
    before = signal.signal(signal.SIGUSR1, lambda *_: handled.append("now"))
    try:
        with HeldSignals([signal.SIGUSR1]) as signals:
            signal.raise_signal(signal.SIGUSR1)
            follow_rank_0(Store({"decision": "connect"}), 1, 3, SECONDS, signals)
            assert handled == []
        assert handled == ["now"]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_without_a_handler_is_not_held():
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with HeldSignals([signal.SIGUSR1]) as signals:
            assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
            assert signals.name == ""
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_rank_0_that_has_ended(signals):
    """Without a signal that is an error. With one, rank 0 had it too."""
    store = Store(is_reachable=False)
    with pytest.raises(RunError, match=r"rank 0 has ended before all ranks had started \(Connection refused\)"):
        follow_rank_0(store, 1, 3, SECONDS, signals)
    signal.raise_signal(signal.SIGUSR1)
    with pytest.raises(StoppedBetweenStepsError, match="stopped by SIGUSR1"):
        follow_rank_0(store, 1, 3, SECONDS, signals)
