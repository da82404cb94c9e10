"""Commands that a signal ends leave nothing half-written, and exit as a shell expects.

Training and serving handle signals in their own ways: tests/training/test_stopping.py, tests/serving/test_command.py.
"""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from tests.export.small_models import small_run
from tfdl.cli import main as main_module
from tfdl.cli import signals
from tfdl.cli.failures import exit_code_of
from tfdl.cli.main import HANDLE_SIGNALS, main
from tfdl.cli.signals import EndingSignals, SignalledError
from tfdl.errors import RunError, StoppedBetweenStepsError

CODES = {"SIGTERM": 143, "SIGHUP": 129}
_PATIENCE_SECONDS = 60
# Calls a function of tfdl or of a library, then makes a file and waits to be ended.
_STOPPING_AFTER = """\
import functools, importlib, sys, time
from tfdl.cli.quiet import quick_start
quick_start()
module, names, *arguments = sys.argv[1:]
owner = importlib.import_module(module)
*path, name = names.split(".")
for part in path:
    owner = getattr(owner, part)
original = getattr(owner, name)
@functools.wraps(original)
def waiting(*values, **named):
    original(*values, **named)
    open("reached", "w").close()
    while True:
        time.sleep(0.01)
setattr(owner, name, waiting)
from tfdl.cli.main import main
main(arguments)
"""


def wait_until(condition, process):
    """Polls until something is true, which the process must not end before."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not (found := condition()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.fixture(autouse=True)
def default_handlers():
    """As in a shell. The tests themselves may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def start(tmp_path):
    """``start(*arguments)``: a process of Python, whose temporary files are in a folder of the test."""
    (tmp_path / "temporary").mkdir()
    processes = []

    def begin(*arguments, **options):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            text=True,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
            **pipes,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def assert_ended(process, name):
    output, errors = process.communicate(timeout=_PATIENCE_SECONDS)
    assert (process.returncode, output, errors) == (CODES[name], "", f"tfdl: stopped by {name}\n")


def start_export(start, run, tmp_path, format_name, **options):
    """An export that has begun to write."""
    arguments = ("export", run.path, "work/deep/out", "--format", format_name)
    process = start("-m", "tfdl", *arguments, **options)
    wait_until(lambda: list(tmp_path.glob("work/deep/.out.*")), process)
    return process


@pytest.mark.parametrize("name", list(CODES))
def test_an_export(start, trained_run, tmp_path, name):
    process = start_export(start, trained_run, tmp_path, "onnx")
    wait_until(lambda: list(tmp_path.glob("work/deep/.out.*/**/model.onnx")), process)
    process.send_signal(getattr(signal, name))
    assert_ended(process, name)
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert not list(tmp_path.glob("temporary/tfdl-*"))


def test_the_clean_process_of_an_export_ends_with_it(start, trained_run, tmp_path):
    process = start_export(start, trained_run, tmp_path, "keras")
    child = wait_until(lambda: find_clean_process(process.pid), process)
    process.send_signal(signal.SIGTERM)
    assert_ended(process, "SIGTERM")
    assert not Path(f"/proc/{child}").exists()
    assert not list(tmp_path.glob("temporary/tfdl-*"))


def find_clean_process(pid):
    """The process that an export has started, when it imports packages; None before."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if "numpy" in Path(f"/proc/{child}/maps").read_text() and b"-I" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return None


def test_under_nohup_sighup_changes_nothing(start, trained_run, tmp_path):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = start_export(start, trained_run, tmp_path, "keras", preexec_fn=ignore)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=_PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert (tmp_path / "work" / "deep" / "out" / "model.keras").is_file()


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [("SIGTERM", 143, "tfdl: stopped by SIGTERM\n"), ("SIGINT", 1, "\ntfdl: interrupted\n")],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_predictions(start, tmp_path, name, code, line):
    run = small_run("encoder", tmp_path / "run")
    process = start("-m", "tfdl", "predict", run.path, "-", "--output", "answers.jsonl")
    process.stdin.write("one text\n")
    process.stdin.flush()  # it waits for more
    wait_until(lambda: list(tmp_path.glob(".answers.jsonl.*")), process)
    process.send_signal(getattr(signal, name))
    output, errors = process.communicate(timeout=_PATIENCE_SECONDS)
    assert (process.returncode, output, errors) == (code, "", line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "temporary"]


def test_an_import(start, tmp_path):
    from tests.interop import published
    from tests.interop.test_language_models import END

    published.save_language_model(tmp_path / "files", published.gpt2(), published.byte_level(), **END)
    place = ("tfdl.interop.importing", "write_imported_run")
    process = start("-c", _STOPPING_AFTER, *place, "import", "files", "work/run")
    wait_until((tmp_path / "reached").exists, process)
    assert list(tmp_path.glob("work/.run.*/checkpoints"))
    process.send_signal(signal.SIGTERM)
    assert_ended(process, "SIGTERM")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "reached", "temporary"]


@pytest.mark.parametrize("name", list(CODES))
def test_a_preparation(start, tmp_path, name):
    place = ("tensorflow_datasets.core.writer", "Writer.finalize")
    data = tmp_path / "data"
    process = start("-c", _STOPPING_AFTER, *place, "datasets", "prepare", "digits", "--data-dir", data)
    wait_until((tmp_path / "reached").exists, process)
    incomplete = list(data.rglob("*incomplete*"))
    assert incomplete
    process.send_signal(getattr(signal, name))
    assert_ended(process, name)
    assert not [path for path in incomplete if path.exists()]
    assert not list(data.rglob("*.tfrecord*"))


def test_a_terminal_that_closes(start, trained_run, tmp_path):
    """Nobody can read the line then."""
    outer, inner = pty.openpty()

    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    terminal = {"stdin": inner, "stdout": inner, "stderr": inner}
    options = {**terminal, "start_new_session": True, "preexec_fn": take_terminal}
    process = start_export(start, trained_run, tmp_path, "onnx", **options)
    os.close(inner)
    os.close(outer)
    assert process.wait(_PATIENCE_SECONDS) == CODES["SIGHUP"]
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


# In this process


def test_handlers_are_those_of_before_afterwards():
    names = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(name) for name in names]
    assert before == [signal.SIG_DFL] * 2
    with EndingSignals():
        assert not any(signal.getsignal(name) in before for name in names)
    assert [signal.getsignal(name) for name in names] == before


def test_a_handler_of_the_calling_program_stays():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with EndingSignals() as ending:
            os.kill(os.getpid(), signal.SIGTERM)
        assert (received, ending.error) == ([signal.SIGTERM], None)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_no_handler_is_set():
    errors = []

    def work():
        try:
            with EndingSignals():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


def signals_while_cleaning_up(cleaned):
    with EndingSignals():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append("all")


def test_several_signals_at_once_leave_the_cleaning_up_alone(monkeypatch):
    cleaned = []
    with pytest.raises(SignalledError, match="stopped by SIGHUP"):
        signals_while_cleaning_up(cleaned)
    assert cleaned == ["all"]
    monkeypatch.setattr(signals, "_CLEANUP_SECONDS", 0.0)  # as if the second one came much later
    with pytest.raises(SignalledError, match="stopped by SIGTERM"):
        signals_while_cleaning_up(cleaned)
    assert cleaned == ["all"]


def test_an_error_that_a_library_made_of_it(monkeypatch, capsys):
    """TensorFlow makes an error of any exception that Python code raises within an operation."""

    def command(*_, **__):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            raise RunError("UNKNOWN: SignalledError") from error

    monkeypatch.setattr(main_module.group, "main", command)
    with pytest.raises(SystemExit) as ended:
        main(["runs"])
    assert ended.value.code == 143
    assert capsys.readouterr().err == "tfdl: stopped by SIGTERM\n"


@pytest.mark.parametrize("name", HANDLE_SIGNALS)
def test_commands_that_handle_signals_themselves(monkeypatch, name):
    def command(*_, **__):
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_DFL

    monkeypatch.setattr(main_module.group, "main", command)
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0


def test_a_launched_rank_has_its_own_way(monkeypatch):
    """It gets two seconds after SIGTERM, in which rank 0 prints the error."""
    handlers = []
    monkeypatch.setattr(main_module, "launched_rank", lambda: 0)
    monkeypatch.setattr(
        main_module.group, "main", lambda *_, **__: handlers.append(signal.getsignal(signal.SIGTERM).__name__)
    )
    with pytest.raises(SystemExit):
        main(["evaluate"])
    assert handlers == ["start_timer"]


def test_exit_codes():
    assert [exit_code_of(SignalledError(getattr(signal, name))) for name in CODES] == list(CODES.values())


class Freed:
    """Gets a signal while Python frees it."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1_000):  # the handler runs between two statements
            pass


def test_a_signal_while_an_object_is_freed_is_not_lost():
    hook = sys.unraisablehook

    def freed_while_it_waits():
        freed = Freed()
        del freed
        threading.Event().wait(60)

    with EndingSignals(), pytest.raises(SignalledError, match="stopped by SIGTERM"):
        freed_while_it_waits()
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert sys.unraisablehook is hook


@pytest.mark.parametrize("launcher", ["none", "srun", "horovodrun"])
def test_which_signals_stop_a_rank_between_steps(launcher):
    """Slurm sends SIGTERM before it preempts a job, as do those who start a process; horovodrun to end the ranks."""
    with pytest.raises(StoppedBetweenStepsError, match="stopped by SIGUSR1"), signals.stop_between_steps(launcher):
        signal.raise_signal(signal.SIGUSR1)
    ended = []
    before = signal.signal(signal.SIGTERM, lambda *_: ended.append(launcher))
    try:
        if launcher != "horovodrun":
            with pytest.raises(StoppedBetweenStepsError, match="SIGTERM"), signals.stop_between_steps(launcher):
                signal.raise_signal(signal.SIGTERM)
        else:
            with signals.stop_between_steps(launcher):
                signal.raise_signal(signal.SIGTERM)
        assert ended == (["horovodrun"] if launcher == "horovodrun" else [])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_was_blocked_when_the_command_started_still_stops_it():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        signal.raise_signal(signal.SIGUSR1)  # its default action would end the process
        with pytest.raises(StoppedBetweenStepsError, match="stopped by SIGUSR1"), signals.stop_between_steps():
            pytest.fail("the signal did not come")
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
