"""Changes Horovod's launcher: if a rank did not exit with 0, horovodrun ends with one line, not with a traceback.

The rank has printed the cause. A traceback of the launcher after it would be taken for the cause.
"""

from pathlib import Path

from tfdl.errors import RunError
from tfdl.horovod_build.build_environment import HOROVOD_VERSION

# The file in Horovod's source, and in the installed package.
LAUNCHER = Path("horovod", "runner", "launch.py")

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


def patch_launcher(folder: Path) -> None:
    """Changes the launcher in a folder that contains the package ``horovod``.

    Args:
        folder: Horovod's unpacked source. A launcher that is changed already stays as it is.

    Raises:
        RunError: the launcher is not that of the Horovod that tfdl builds.
    """
    path = folder / LAUNCHER
    source = path.read_text(encoding="utf-8")
    if _CHANGED in source:
        return
    if source.count(_ORIGINAL) != 1:
        raise RunError(
            f"{path} is not the launcher of Horovod {HOROVOD_VERSION}: its last line of work is not _run(args)"
        )
    path.write_text(source.replace(_ORIGINAL, _CHANGED), encoding="utf-8")
