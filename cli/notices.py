"""Prints the library's lines about work that takes long, such as converting a data set."""

import logging

import click


class _Printed(logging.Handler):
    """Prints messages on standard error, which leaves standard output to results."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


def print_notices() -> None:
    """Prints what the library's logger gets from now on."""
    logger = logging.getLogger("tfdl")
    if any(isinstance(handler, _Printed) for handler in logger.handlers):
        return
    logger.addHandler(_Printed())
    logger.setLevel(logging.INFO)
    logger.propagate = False
