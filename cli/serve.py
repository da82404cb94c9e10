"""``tfdl serve``."""

import json
import os
import sys
from typing import Any

import click

from tfdl.cli.failures import launched_rank
from tfdl.cli.options import checkpoint_option, debug_option
from tfdl.cli.parts import load_parts, plugin_option
from tfdl.errors import UserError

EPILOG = """\b
Examples:
  tfdl serve runs/digits                              # http://127.0.0.1:8501/v1/models/digits
  tfdl serve exported/digits                          # the newest version; a newer one is loaded as soon as it is there
  tfdl serve first=runs/digits gpt=exported/gpt       # two models by other names
  tfdl serve runs/digits --port 0 --max-batch-size 64 --batch-timeout-ms 2
  curl -d '{"instances": ["some text"]}' http://127.0.0.1:8501/v1/models/texts:predict
"""
_MEBIBYTE = 2**20


class _VersionCount(click.ParamType):
    """A number of versions, or ``all``."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; 0 for ``all``."""
        if isinstance(value, int):
            return value
        if value == "all":
            return 0
        if not value.isdecimal() or not value.isascii() or not int(value):
            self.fail(f"{value!r} is neither a number of at least 1 nor all", param, ctx)
        return int(value)


@click.command(epilog=EPILOG)
@click.argument("models", nargs=-1, required=True, metavar="RUN|SAVEDMODEL...")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="Port; 0 chooses a free one."
)
@click.option(
    "--versions",
    type=_VersionCount(),
    default=1,
    show_default=True,
    metavar="N|all",
    help="Newest versions of a model to keep loaded.",
)
@click.option(
    "--poll-seconds",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Time between two looks for new versions; 0 never looks.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    metavar="N",
    help="Most rows of a call of the model; 1 joins no requests.",
)
@click.option(
    "--batch-timeout-ms",
    type=click.FloatRange(0, 10_000),
    default=0.0,
    show_default=True,
    metavar="MS",
    help="Time that a call waits for more rows; 0 takes the rows that wait already.",
)
@click.option(
    "--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Calls of a model at the same time."
)
@click.option(
    "--max-queue",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="N",
    help="Most requests of a model at a time; others get 503.",
)
@click.option(
    "--max-body",
    type=click.FloatRange(0, 2047, min_open=True),
    default=16.0,
    show_default=True,
    metavar="MIB",
    help="Largest body of a request; larger ones get 413.",
)
@click.option(
    "--request-timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Time of a request; later answers become 504.",
)
@click.option(
    "--max-streams",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    metavar="N",
    help="Texts that runs write at the same time.",
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    metavar="N",
    help="Most tokens that a request may ask for.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="At the end, time to answer the requests that have arrived.",
)
@click.option(
    "--log-requests/--no-log-requests", default=True, show_default=True, help="Print a line for each request on stderr."
)
@click.option("--trust", is_flag=True, help="Serve SavedModels that tfdl did not write. They are programs.")
@checkpoint_option
@plugin_option
@debug_option
def command(
    models: tuple[str, ...],
    host: str,
    port: int,
    checkpoint: str,
    plugins: tuple[str, ...],
    drain_seconds: float,
    batch_timeout_ms: float,
    max_body: float,
    **options: Any,
) -> None:
    """Answer HTTP requests with trained models, by TensorFlow Serving's REST API.

    Each argument is a run directory, a SavedModel, or a folder of versions that `tfdl export` wrote; NAME=PATH gives it
    a name. Requests that arrive at the same time are computed together. SIGINT and SIGTERM end the server after it has
    answered the requests that it has. docs/serving.md describes the API.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory
    from tfdl.serving.listening import address_of, is_loopback, listen
    from tfdl.serving.sources import find_sources

    if launched_rank() is not None:
        raise UserError("serve under a launcher, expected one process; start it without horovodrun")
    sources = find_sources(models)
    for source in sources:
        if source.kind == "run":
            RunDirectory.open(source.path).checkpoint(checkpoint)
    listener = listen(host, port)
    load_parts(plugins)
    quick_start()
    from tfdl.serving import ServeOptions, open_state, run

    settings = ServeOptions(
        batch_timeout=batch_timeout_ms / 1000, max_body=int(max_body * _MEBIBYTE), checkpoint=checkpoint, **options
    )
    state = open_state(sources, settings)
    if not is_loopback(listener):
        click.echo(f"warning: {host} can be reached from other machines, and the server asks for no password", err=True)
    _print_models(state, address_of(listener))
    if not run(state, listener, host=host, drain_seconds=drain_seconds):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # the interpreter would wait for the threads


def _print_models(state: Any, address: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from tfdl.cli.tables import print_tables

    table = Table("model", "versions", "task", "signatures", box=None, pad_edge=False)
    commands = []
    for model in state.models.values():
        program = model.newest().program
        versions = ", ".join(map(str, model.numbers))
        task = str(program.description.get("task", "unknown"))
        table.add_row(model.name, versions, escape(task), escape(", ".join(program.signatures)))
        commands.append(_example(f"{address}/v1/models/{model.name}", program))
    print_tables(table)
    click.echo(f"\nlistening at {address}; try it:")
    for line in dict.fromkeys(commands):
        click.echo(f"  {line}")


def _example(address: str, program: Any) -> str:
    """A command that asks a model."""
    if "encoded" in program.signatures:
        before = '{"signature_name": "encoded", "instances": [{"b64": "'
        return f"(printf '{before}'; base64 -w0 IMAGE.png; printf '\"}}]}}') | curl -d @- {address}:predict"
    if program.writer is not None:
        body = json.dumps({"text": "TEXT", "max_new_tokens": 50, "stream": True})
        return f"curl -N -d '{body}' {address}:generate"
    if "generate" in program.signatures and "text" in program.signatures["generate"].inputs:
        body = json.dumps({"text": "TEXT", "max_new_tokens": 50})
        return f"curl -d '{body}' {address}:generate"
    signature = program.signatures.get("serving_default")
    if signature is not None and all(info.dtype == "string" for info in signature.inputs.values()):
        return f"""curl -d '{{"instances": ["TEXT"]}}' {address}:predict"""
    return f"curl {address}/metadata"
