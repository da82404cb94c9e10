"""``tfdl models``."""

import dataclasses
import json
import shutil
from typing import Any

import click

from tfdl.cli.failures import speaks
from tfdl.cli.options import debug_option, json_option
from tfdl.cli.parts import load_parts, plugin_option, split_model

EPILOG = """\b
Examples:
  tfdl models                                               # every family and preset
  tfdl models resnet20 --batch-size 128                     # does it fit?
  tfdl models gpt2 --batch-size 8 --sequence-length 512 --optimizer sgd
  tfdl models gpt2 --set model.num_layers=6 --set vocab_size=32000
  tfdl models cnn --set input_shape=[32,32,3] --set num_classes=100
  tfdl models resnet50 --json | jq .training_flops
"""


@click.command(epilog=EPILOG)
@click.argument("name", required=False)
@click.option("--batch-size", type=click.IntRange(1), default=1, show_default=True, help="Samples in a step on a rank.")
@click.option("--sequence-length", type=click.IntRange(1), help="Tokens in a sequence.  [default: the model's]")
@click.option("--optimizer", default="adam", show_default=True, metavar="NAME", help="Whose state counts.")
@click.option("--precision", default="float32", show_default=True, metavar="NAME", help="As in `tfdl train`.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="A field (model.dropout=0.1) or what the data decides (vocab_size=32000); repeatable.")  # fmt: skip
@plugin_option
@json_option
@debug_option
def command(
    name: str | None,
    batch_size: int,
    sequence_length: int | None,
    optimizer: str,
    precision: str,
    assignments: tuple[str, ...],
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the models, or tell what one of them is and what a training step of it takes.

    NAME is a family (cnn, resnet, ...) or a preset (resnet20, ...). The model is not run and takes no memory, so any of
    them can be asked for on any machine.
    """
    from tfdl.config import assignment

    module, name = split_model(name)
    load_parts(plugins if module is None else (*plugins, module))
    if name is None:
        show_list(as_json)
        return
    fields, data = _split(dict(assignment(text) for text in assignments))
    from tfdl.config import choose_model

    config = choose_model({"name": name, **fields})  # a wrong name is told before TensorFlow is imported
    from tfdl.cli.quiet import quick_start

    quick_start()
    from tfdl.inspection import describe_model

    description = describe_model(
        config, data, batch_size=batch_size, sequence_length=sequence_length, optimizer=optimizer, precision=precision
    )
    if not speaks():
        return
    if as_json:
        click.echo(json.dumps(_numbers(description)))
        return
    console().print(_layer_table(description))
    click.echo("\n" + _facts(description))


def console() -> Any:
    """As wide as the terminal; on a pipe, wide enough for every table."""
    from rich.console import Console

    return Console(highlight=False, width=shutil.get_terminal_size((120, 24)).columns)


def show_list(as_json: bool) -> None:
    """Families and presets, from the configuration alone: no TensorFlow."""
    from rich.table import Column, Table

    if not speaks():
        return
    if as_json:
        click.echo(json.dumps({"families": _families(), "presets": _presets()}))
        return
    table = Table("family", "default task", "what it is", box=None, pad_edge=False)
    for name, family in _families().items():
        table.add_row(name, family["task"], family["about"])
    console().print(table)
    number = Column("parameters", justify="right")
    table = Table("preset", "family", number, "source", box=None, pad_edge=False)
    for name, preset in _presets().items():
        table.add_row(name, preset["family"], f"{preset['parameters']:,}", preset["source"])
    click.echo()
    console().print(table)
    click.echo("\nMore of one: tfdl models NAME. Train it: tfdl train --model NAME")


def _families() -> dict[str, Any]:
    from tfdl.config import MODELS

    families = {}
    for name in MODELS:
        config = MODELS[name]
        about = (config.__doc__ or "").strip().splitlines()
        families[name] = {"task": config().default_task, "about": about[0] if about else ""}
    return families


def _presets() -> dict[str, Any]:
    from tfdl.config import PRESETS

    return {
        preset.name: {"family": preset.config.name, "parameters": preset.parameters, "source": preset.source}
        for preset in PRESETS.values()
    }


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the configuration, and data arguments."""
    fields = {key.removeprefix("model."): value for key, value in values.items() if key.startswith("model.")}
    return fields, {key: value for key, value in values.items() if not key.startswith("model.")}


def _numbers(description: Any) -> dict[str, Any]:
    from tfdl.config import to_mapping

    values = dataclasses.asdict(description)
    cost = values.pop("cost")
    return {**values, "config": to_mapping(description.config), **cost, "training_bytes": description.training_bytes}


def _layer_table(description: Any) -> Any:
    from rich.table import Column, Table

    table = Table("layer", "type", "output", Column("parameters", justify="right"), box=None, pad_edge=False)
    for layer in description.layers:
        table.add_row(layer.name, layer.kind, layer.output_shape, f"{layer.parameters:,}" if layer.parameters else "")
    return table


def _facts(description: Any) -> str:
    """Size and cost, a line each."""
    from tfdl.config import PRESETS

    config, cost = description.config, description.cost
    source = PRESETS[config.preset].source if config.preset in PRESETS else ""
    batch = f"batch {description.batch_size}"
    if description.sequence_length:
        batch += f" of {description.sequence_length} tokens"
    data = ", ".join(f"{key}={value}" for key, value in description.data.items())
    rows = {
        "model": " ".join(filter(None, [config.name, config.preset and f"({config.preset})"])),
        "source": source,
        "data": data,
        "parameters": f"{description.parameters:,}, of them {description.trainable_parameters:,} trained",
        "one step": f"{batch}, {description.precision}, {description.optimizer}",
        "  forward": _scaled(cost.forward_flops, 1000, "FLOP"),
        "  forward and backward": _scaled(cost.training_flops, 1000, "FLOP"),
        "memory": _scaled(description.training_bytes, 1024, "B"),
        "  weights": _scaled(description.weights_bytes, 1024, "B"),
        "  gradients": _scaled(description.gradients_bytes, 1024, "B"),
        "  optimizer state": _scaled(description.optimizer_bytes, 1024, "B"),
        "  activations": f"{_scaled(cost.activation_bytes, 1024, 'B')} kept for the backward pass",
    }
    width = max(map(len, rows))
    lines = [f"{key:{width}}  {value}" for key, value in rows.items() if value]
    lines.append("FLOP: multiplications and additions of matrix products and convolutions, two for each pair.")
    return "\n".join(lines)


def _scaled(value: float, base: int, unit: str) -> str:
    """``1.26 GFLOP``, ``15.6 MiB``."""
    prefixes = ["", "k", "M", "G", "T", "P"] if base == 1000 else ["", "Ki", "Mi", "Gi", "Ti", "Pi"]
    power = 0
    while value >= base and power < len(prefixes) - 1:
        value, power = value / base, power + 1
    return f"{value:.3g} {prefixes[power]}{unit}" if value < 1000 else f"{value:.0f} {prefixes[power]}{unit}"
