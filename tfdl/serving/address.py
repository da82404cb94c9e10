"""The addresses of TensorFlow Serving's REST API."""

import re
from dataclasses import dataclass

from tfdl.serving.errors import NOT_FOUND, RequestError

_ADDRESS = re.compile(
    r"(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?:/(?P<part>metadata)|:(?P<method>[a-z]+))?"
)
METHODS = ("predict", "classify", "generate")


@dataclass(frozen=True)
class Address:
    """What a request is about."""

    model: str
    version: int | None
    method: str
    """``predict``, ``classify``, ``generate``, ``metadata`` or ``status``."""

    @property
    def is_question(self) -> bool:
        """Whether it is asked with GET."""
        return self.method in ("metadata", "status")


def parse_address(path: str) -> Address:
    """The parts of an address.

    Args:
        path: what follows ``/v1/models/``.

    Raises:
        RequestError: there is nothing at this address.
    """
    match = _ADDRESS.fullmatch(path)
    if match is None:
        raise RequestError(
            NOT_FOUND, f"nothing is at {_shown(path)}, expected /v1/models/NAME[/versions/N][/metadata|:predict]"
        )
    if match["label"]:
        raise RequestError(NOT_FOUND, "versions have no labels in this server; ask for /versions/N, or leave it out")
    method = match["method"] or match["part"] or "status"
    if match["method"] == "regress":
        raise RequestError(NOT_FOUND, "no model of tfdl has a signature for regress; use :predict")
    if match["method"] and method not in METHODS:
        names = ", ".join(f":{name}" for name in METHODS)
        raise RequestError(NOT_FOUND, f"there is no method {_shown(method)}, expected one of {names}")
    version = match["version"]
    return Address(match["name"], int(version) if version else None, method)


def _shown(text: str) -> str:
    shown = ascii(text[:80])
    return f"{shown}..." if len(text) > 80 else shown
