"""The Horovod that is installed in this environment: its version, its launcher, and how a wheel replaces it."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import invalidate_caches, metadata
from pathlib import Path

from tfdl.errors import RunError
from tfdl.horovod_build.logged_command import first_error, run_logged

_INSTALL_SECONDS = 1800


def installed_version() -> str | None:
    """The version of the installed Horovod, or ``None``."""
    distribution = _distribution()
    return distribution.version if distribution else None


def horovodrun_path() -> str:
    """The launcher that the package installed, whether or not its folder is on PATH.

    Raises:
        RunError: the package has none.
    """
    distribution = _distribution()
    files = (distribution.files if distribution else None) or []
    for file in files:
        if file.name == "horovodrun":
            return os.path.abspath(str(file.locate()))
    raise RunError("the installed Horovod has no horovodrun: run `tfdl install-horovod --force`")


def install_wheel(
    wheel: Path, version: str, log: Path, environment: Mapping[str, str], report: Callable[[str], None]
) -> None:
    """Installs the wheel, and those of its dependencies that are missing, into this environment.

    Args:
        wheel: path of the wheel.
        version: the version that must be installed afterwards.
        log: the file that receives pip's output; its old content is removed.
        environment: environment variables of pip.
        report: receives a line when an installed Horovod is replaced.

    Raises:
        RunError: pip failed, or Python finds another Horovod. The message names the log.
    """
    present = _distribution()
    if present is not None:
        report(f"replacing Horovod {present.version} (built for TensorFlow {_tensorflow_version(present)})")
    log.write_bytes(b"")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    commands = [[*pip, str(wheel)]]
    if present is not None and present.version == version:
        # pip skips a version that is installed already. The first command has installed its dependencies.
        commands.append([*pip, "--force-reinstall", "--no-deps", str(wheel)])
    for command in commands:
        if run_logged(command, log, environment, wheel.parent, _INSTALL_SECONDS) != 0:
            raise RunError(f"pip could not install {wheel.name}: {first_error(log)}; the log is {log}")
    visible_version = installed_version()
    if visible_version != version:
        raise RunError(
            f"pip installed {wheel.name}, but {sys.executable} finds {_named(visible_version)}:"
            f" remove any other Horovod (pip uninstall horovod) and run this again; the log is {log}"
        )


def _distribution() -> metadata.Distribution | None:
    invalidate_caches()  # pip, a child process, may have changed folders whose content this process remembers
    try:
        return metadata.distribution("horovod")
    except metadata.PackageNotFoundError:
        return None


def _named(version: str | None) -> str:
    return "no Horovod" if version is None else f"Horovod {version}"


def _tensorflow_version(distribution: metadata.Distribution) -> str:
    """The TensorFlow that a Horovod was compiled against, from the note that Horovod's build writes."""
    path = Path(str(distribution.locate_file("horovod/metadata.json")))
    try:
        note = json.loads(path.read_text())
        return str(note.get("tensorflow", "none"))
    except (OSError, ValueError):
        return "unknown"
