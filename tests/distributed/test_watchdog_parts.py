"""The watchdog's connections, its timers outside of Python, and its classification of errors."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
import tensorflow as tf

from tfdl.distributed.collective_counts import CollectiveCounts
from tfdl.distributed.watchdog import peers as peers_module
from tfdl.distributed.watchdog.error_origin import is_broken_collective, is_shared
from tfdl.distributed.watchdog.links import Links
from tfdl.distributed.watchdog.members import Member, kill_if_here, own_process_key
from tfdl.distributed.watchdog.peers import connect_peers
from tfdl.distributed.watchdog.stacks import python_stacks
from tfdl.distributed.watchdog.wire import listen, own_address
from tfdl.errors import RunError, StoppedBetweenStepsError, StoppedError, UserError


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.01)


@pytest.fixture
def pair():
    """A coordinator's links, and those of rank 1 connected to them."""
    listener = listen("127.0.0.1", 4)
    coordinator = Links(listener, "secret")
    member = Links(None, "secret")
    _, port = listener.getsockname()
    member.connect([Member(0, "this-host", "127.0.0.1", port, 1, "")], 1)
    wait_until(lambda: bool(coordinator.poll(0.01)) or 1 in coordinator.members)
    yield coordinator, member
    coordinator.close()
    member.close()


def test_long_messages_arrive_whole_and_in_order(pair):
    coordinator, member = pair
    member.send_to_coordinators(report=[1])
    member.send_to_coordinators(stacks="x" * 200_000)
    member.send_to_coordinators(bye="done")
    arrivals = []

    def all_have_arrived() -> bool:
        member.poll(0.01)  # sends the bytes that the kernel did not accept at first
        arrivals.extend(coordinator.poll(0.01))
        return len(arrivals) == 3

    wait_until(all_have_arrived)
    assert [list(arrival.message) for arrival in arrivals] == [["report"], ["stacks"], ["bye"]]
    for arrival in arrivals:
        assert arrival.rank == 1
        assert arrival.from_coordinator is False


def test_the_end_of_a_connection_arrives(pair):
    coordinator, member = pair
    for connection in member.coordinators.values():
        connection.close()
    arrivals = []

    def has_arrived() -> bool:
        arrivals.extend(coordinator.poll(0.01))
        return len(arrivals) > 0

    wait_until(has_arrived)
    assert arrivals[0].rank == 1
    assert arrivals[0].message is None
    assert coordinator.members == {}


@pytest.mark.parametrize(
    "words",
    [
        b'{"hello": "guess", "rank": 1}\n{"failed": [1, "x"]}\n',
        b'{"hello": "\\u00e9\\ud800", "rank": 1}\n',
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_the_connection_of_another_program_is_closed(words: bytes):
    listener = listen("127.0.0.1", 4)
    coordinator = Links(listener, "secret")
    with socket.create_connection(listener.getsockname(), timeout=20) as client:
        client.sendall(words)
        client.setblocking(False)

        def is_closed() -> bool:
            assert coordinator.poll(0.01) == []
            try:
                return client.recv(1) == b""
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True

        wait_until(is_closed)
    assert coordinator.members == {}
    coordinator.close()


def test_another_thread_wakes_the_poll():
    links = Links(None, "secret")
    threading.Timer(0.1, links.wake).start()
    begin = time.monotonic()
    assert links.poll(60.0) == []
    assert time.monotonic() - begin < 30.0
    links.close()


def test_the_address_is_the_loopback_s_on_one_host_and_the_interface_s_on_several(monkeypatch):
    assert own_address(one_host=True) == "127.0.0.1"
    monkeypatch.setenv("HOROVOD_GLOO_IFACE", "lo")
    assert own_address(one_host=False) == "127.0.0.1"
    monkeypatch.setenv("HOROVOD_GLOO_IFACE", "none such")
    monkeypatch.setenv("HOROVOD_GLOO_RENDEZVOUS_ADDR", "127.0.0.1")
    assert own_address(one_host=False) == "127.0.0.1"


def sleeper(code: str = "") -> subprocess.Popen:
    """Starts a process that runs some code and then sleeps."""
    program = f"import time\n{code}\nprint('up', flush=True)\ntime.sleep(1000)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    return process


def test_a_stopped_rank_of_this_host_is_killed_and_no_other_process():
    process = sleeper()
    os.kill(process.pid, signal.SIGSTOP)
    key = own_process_key(process.pid)
    kill_if_here(Member(1, "this-host", "", 0, process.pid, key + " of another start"))
    kill_if_here(Member(1, "elsewhere", "", 0, process.pid, ""))
    kill_if_here(Member(0, "this-host", "", 0, os.getpid(), own_process_key(os.getpid())))
    assert process.poll() is None
    kill_if_here(Member(1, "this-host", "", 0, process.pid, key))
    assert process.wait(20) == -signal.SIGKILL


ARMED = """
from tfdl.distributed.watchdog import dead_man
dead_man.KILL_MARGIN = 0.5
switch = dead_man.DeadMansSwitch()
switch.reset(0.5)
"""


def test_a_stopped_process_is_killed_by_the_kernel_s_timer():
    process = sleeper(ARMED)
    os.kill(process.pid, signal.SIGSTOP)
    assert process.wait(20) == -signal.SIGKILL


def test_the_stack_of_c_code_that_blocks_python_is_printed():
    # The C function sleeps with the interpreter's lock.
    hog = "def hog():\n    import ctypes\n    ctypes.PyDLL(None).sleep(1000)\n"
    armed = ARMED.replace("KILL_MARGIN = 0.5", "KILL_MARGIN = 3.0")
    program = f"{armed}{hog}hog()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert "in hog" in done.stderr


def test_a_disarmed_switch_does_nothing():
    """The control: the timer is what ends the process above."""
    process = sleeper(ARMED + "switch.disarm()")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.kill()
    process.wait()


def test_the_main_thread_comes_first_and_the_innermost_call_last():
    results = []
    thread = threading.Thread(target=lambda: results.append(python_stacks()))
    thread.start()
    thread.join()
    (stacks,) = results
    assert stacks.startswith("thread MainThread:\n")
    assert "test_the_main_thread_comes_first" in stacks
    assert "python_stacks" not in stacks  # the caller's own thread is left out


def test_counts_increase_when_graphs_run_and_show_compilation():
    counts = CollectiveCounts()

    @tf.function
    def step(x):
        for _ in tf.range(3):
            x = counts.count(lambda y: y * 2, x)
        return x

    counts.count(tf.identity, tf.constant(1))
    assert counts.read() == (1, 1)
    assert not counts.is_compiling
    step.get_concrete_function(tf.constant(1.0))
    assert counts.is_compiling
    assert float(step(tf.constant(1.0))) == 8.0
    assert counts.read() == (4, 4)
    assert not counts.is_compiling


def test_a_collective_that_waits_has_begun_and_is_not_done():
    counts = CollectiveCounts()
    may_end = threading.Event()

    def wait(x):
        may_end.wait(60)
        return x

    @tf.function
    def step(x):
        return counts.count(lambda y: tf.numpy_function(wait, [y], tf.float32), x)

    thread = threading.Thread(target=step, args=(tf.constant(1.0),))
    thread.start()
    wait_until(lambda: counts.read() == (1, 0))
    may_end.set()
    thread.join()
    assert counts.read() == (1, 1)


class HorovodInternalError(RuntimeError):
    pass


def agreed_error() -> RunError:
    """An error that all ranks have agreed to raise."""
    error = RunError("raised on all ranks")
    vars(error)["agreed"] = True
    return error


@pytest.mark.parametrize(
    ("error", "broken", "shared"),
    [
        (HorovodInternalError("reset"), True, False),
        (tf.errors.UnknownError(None, None, "Horovod has been shut down."), True, False),
        (tf.errors.InvalidArgumentError(None, None, "no image\n\t [[{{node IteratorGetNext}}]]"), False, False),
        (ValueError("HorovodAllreduce"), False, False),
        (UserError("wrong"), False, False),
        (StoppedError("SIGTERM"), False, True),
        (StoppedBetweenStepsError("SIGUSR1"), False, False),
        (agreed_error(), False, True),
        (KeyboardInterrupt(), False, True),
        (SystemExit(1), False, True),
    ],
)
def test_the_origin_of_an_error(error: BaseException, broken: bool, shared: bool):
    assert is_broken_collective(error) == broken
    assert is_shared(error) == shared


def test_ranks_of_one_host_connect_and_only_coordinators_keep_listening(ranks):
    world = ranks(3)

    all_peers = world.run(lambda _: connect_peers(world))
    assert [member.rank for member in all_peers[0].members] == [0, 1, 2]
    assert {tuple(peers.coordinators) for peers in all_peers} == {(0, 1)}
    assert [sorted(peers.links.coordinators) for peers in all_peers] == [[1], [0], [0, 1]]
    port_of_rank_2 = all_peers[0].members[2].port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of_rank_2), timeout=20)
    for peers in all_peers:
        peers.links.close()


def test_if_a_rank_cannot_listen_the_job_runs_without_a_watchdog(ranks, monkeypatch):
    world = ranks(2)

    def listen_or_fail(address, backlog):
        if world.rank == 1:
            raise OSError("no sockets here")
        return listen(address, backlog)

    monkeypatch.setattr(peers_module, "listen", listen_or_fail)
    with pytest.warns(RuntimeWarning, match="rank 1 cannot open its connection .no sockets here.; a rank that hangs"):
        assert world.run(lambda _: connect_peers(world)) == [None, None]
