"""Prints the library's lines about work that takes long, such as converting a data set."""

import logging

import click

_SERVER = "tfdl.serving"
_TIME = "%Y-%m-%d %H:%M:%S"


class _Printed(logging.Handler):
    """Prints messages on standard error, which leaves standard output to results."""

    _times = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        # A server runs for days, and its lines are a log.
        time = f"{self._times.formatTime(record, _TIME)} " if record.name == _SERVER else ""
        click.echo(f"{time}{record.getMessage()}", err=True)


def print_notices() -> None:
    """Prints what the library's logger gets from now on."""
    logger = logging.getLogger("tfdl")
    if any(isinstance(handler, _Printed) for handler in logger.handlers):
        return
    logger.addHandler(_Printed())
    logger.setLevel(logging.INFO)
    logger.propagate = False
