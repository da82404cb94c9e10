"""Changes Horovod's launcher: it starts at once, and ends with one line if a rank did not exit with 0.

Before it starts ranks, horovodrun asks three times how Horovod was built, each time in a new process that imports
TensorFlow. That takes most of ten seconds, and prints TensorFlow's messages. The wheel's version tells the same.

A rank that has failed has printed the cause. A traceback of the launcher after it would be taken for the cause. There
are two: of the launcher itself, and of its thread that ends the other ranks, if one of them ends by itself at that
moment.
"""

from dataclasses import dataclass
from pathlib import Path

from tfdl.errors import RunError
from tfdl.horovod_build.build_environment import HOROVOD_VERSION

# Files in Horovod's source, and in the installed package.
LAUNCHER = Path("horovod", "runner", "launch.py")
SHELL = Path("horovod", "runner", "common", "util", "safe_shell_exec.py")
CHECKS = Path("horovod", "common", "util.py")

# The last line of ``run_commandline``, and what follows it.
_ORIGINAL = """
    _run(args)


if __name__ == '__main__':
"""
# The launcher raises this error for exit codes of ranks over Gloo, also in an elastic job, whose ranks have other names
# (host[slot]). All other errors are its own. Over MPI, mpirun takes its place and prints no traceback.
_CHANGED = r"""
    # Changed by tfdl: one line instead of a traceback when ranks have failed.
    import re
    try:
        _run(args)
    except RuntimeError as error:
        failed = re.search(r'exited with non-zero status.*\nProcess name: (.+)\nExit code: (.+)\n', str(error))
        if failed is None:
            raise
        name, code = failed.groups()
        rank = f'rank {name}' if name.isdigit() else name
        sys.stdout.flush()  # so that this line is the last one
        sys.exit(f'horovodrun: not all ranks succeeded; the cause is above ({rank} ended first, with exit code {code})')


if __name__ == '__main__':
"""

# The beginning of the function that ends a rank's processes. Two of its lines do not expect them to have gone.
_ORIGINAL_SHELL = """
def terminate_executor_shell_and_children(pid):
    # If the shell already ends, no need to terminate its child.
"""
_CHANGED_SHELL = """
def terminate_executor_shell_and_children(pid):
    # Changed by tfdl: the process may end between two lines of the work.
    try:
        _terminate_executor_shell_and_children(pid)
    except psutil.NoSuchProcess:
        pass


def _terminate_executor_shell_and_children(pid):
    # If the shell already ends, no need to terminate its child.
"""


# The beginning of the function that asks the library of a framework.
_ORIGINAL_CHECK = """
def _check_extension_lambda(ext_base_name, fn, fn_desc, verbose):
"""
# The local part of the version is BuildEnvironment.label, such as tf2.21.0.cuda12.5.mpi.k0123456789ab.
_CHANGED_CHECK = """
def _check_extension_lambda(ext_base_name, fn, fn_desc, verbose):
    # Changed by tfdl: the version of the wheel says how it was built. Asking the library takes an import of TensorFlow.
    from importlib import metadata
    label = metadata.version('horovod').partition('+')[2].split('.')
    known = {
        'built with MPI': 'mpi' in label,
        'built with Gloo': True,
        'built with NCCL': any(part.startswith('cuda') for part in label),
    }
    if ext_base_name == 'tensorflow' and fn_desc in known:
        return known[fn_desc]
    return _check_in_a_process(ext_base_name, fn, fn_desc, verbose)


def _check_in_a_process(ext_base_name, fn, fn_desc, verbose):
"""


@dataclass(frozen=True)
class FileChange:
    """A piece of a file, and what takes its place."""

    path: Path
    original: str
    changed: str
    missing: str
    """What is said of a file without the piece."""

    def apply(self, folder: Path) -> None:
        """Changes the file in a folder; one that is changed already stays as it is.

        Args:
            folder: Horovod's unpacked source.

        Raises:
            RunError: the file is not that of the Horovod that tfdl builds.
        """
        path = folder / self.path
        source = path.read_text(encoding="utf-8")
        if self.changed in source:
            return
        if source.count(self.original) != 1:
            raise RunError(f"{path} is not the file of Horovod {HOROVOD_VERSION}: {self.missing}")
        path.write_text(source.replace(self.original, self.changed), encoding="utf-8")


CHANGES = (
    FileChange(LAUNCHER, _ORIGINAL, _CHANGED, "its last line of work is not _run(args)"),
    FileChange(SHELL, _ORIGINAL_SHELL, _CHANGED_SHELL, "it does not end processes as expected"),
    FileChange(CHECKS, _ORIGINAL_CHECK, _CHANGED_CHECK, "it does not ask how Horovod was built as expected"),
)


def patch_launcher(folder: Path) -> None:
    """Changes the launcher in a folder that contains the package ``horovod``.

    Args:
        folder: Horovod's unpacked source. A launcher that is changed already stays as it is.

    Raises:
        RunError: the launcher is not that of the Horovod that tfdl builds.
    """
    for change in CHANGES:
        change.apply(folder)
