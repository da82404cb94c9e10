"""``tfdl models``: lists the models, or describes one of them."""

import dataclasses
import json
import shutil
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import debug_option, json_option
from tfdl.cli.parts import load_parts_and_model, plugin_option

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
@click.option("--optimizer", default="adam", show_default=True, metavar="NAME",
              help="Include this optimizer's state in the estimate.")  # fmt: skip
@click.option("--precision", default="float32", show_default=True, metavar="NAME", help="As in `tfdl train`.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="A model field (model.dropout=0.1) or a data property (vocab_size=32000); repeatable.")  # fmt: skip
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
    """List the models, or describe one: its layers, its size, and the cost of a training step.

    NAME is a family (cnn, resnet, ...) or a preset (resnet20, ...). The model is not run and its weights are not
    allocated, so this works for every model on every machine.
    """
    from tfdl.config import assignment

    plugins, name = load_parts_and_model(plugins, name)
    if name is None:
        show_list(as_json)
        return
    from tfdl.config import choose_model

    values = dict(assignment(argument) for argument in assignments)
    fields, data = _split_values(values)
    config = choose_model({"name": name, **fields})  # reports a wrong name before TensorFlow is imported
    from tfdl.cli.quiet import quick_start

    quick_start()
    from tfdl.inspection import describe_model

    description = describe_model(
        config, data, batch_size=batch_size, sequence_length=sequence_length, optimizer=optimizer, precision=precision
    )
    if not is_printing_rank():
        return
    if as_json:
        click.echo(json.dumps(_to_json(description)))
        return
    console().print(_layer_table(description))
    click.echo("\n" + _facts(description))


def console() -> Any:
    """Returns a console as wide as the terminal, or without a terminal wide enough for every table."""
    from rich.console import Console

    width = shutil.get_terminal_size((120, 24)).columns
    return Console(highlight=False, width=width)


def show_list(as_json: bool) -> None:
    """Prints families and presets, from the configurations, without importing TensorFlow.

    Args:
        as_json: whether to print one JSON object instead of tables.
    """
    from rich.table import Column, Table

    if not is_printing_rank():
        return
    if as_json:
        click.echo(json.dumps({"families": _families(), "presets": _presets()}))
        return
    families = Table("family", "default task", "what it is", box=None, pad_edge=False)
    for name, family in _families().items():
        families.add_row(name, family["task"], family["about"])
    presets = Table("preset", "family", Column("parameters", justify="right"), "source", box=None, pad_edge=False)
    for name, preset in _presets().items():
        presets.add_row(name, preset["family"], f"{preset['parameters']:,}", preset["source"])
    console().print(families)
    click.echo()
    console().print(presets)
    click.echo("\nParameters are trainable ones. Describe a model: tfdl models NAME. Train it: tfdl train --model NAME")


def _families() -> dict[str, Any]:
    from tfdl.config import MODELS

    families = {}
    for name in MODELS:
        config = MODELS[name]
        lines = (config.__doc__ or "").strip().splitlines()
        tasks = config().tasks
        families[name] = {"task": tasks[0] if tasks else "", "about": lines[0] if lines else ""}
    return families


def _presets() -> dict[str, Any]:
    from tfdl.config import PRESETS

    return {
        preset.name: {"family": preset.config.name, "parameters": preset.parameters, "source": preset.source}
        for preset in PRESETS.values()
    }


def _split_values(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits the values of ``--set`` into fields of the configuration and arguments that the data decides."""
    fields = {}
    data = {}
    for key, value in values.items():
        if key.startswith("model."):
            fields[key.removeprefix("model.")] = value
        else:
            data[key] = value
    return fields, data


def _to_json(description: Any) -> dict[str, Any]:
    """The description as one flat dictionary, with the cost among the other values."""
    from tfdl.config import to_mapping

    values = dataclasses.asdict(description)
    cost = values.pop("cost")
    return {**values, "config": to_mapping(description.config), **cost, "training_bytes": description.training_bytes}


def _layer_table(description: Any) -> Any:
    from rich.table import Column, Table

    table = Table("layer", "type", "output", Column("parameters", justify="right"), box=None, pad_edge=False)
    for layer in description.layers:
        parameters = f"{layer.parameters:,}" if layer.parameters else ""
        table.add_row(layer.name, layer.kind, layer.output_shape, parameters)
    return table


def _facts(description: Any) -> str:
    """The size and the cost, one line each; lines without a value are left out."""
    from tfdl.config import PRESETS

    config = description.config
    cost = description.cost
    model = config.name
    source = ""
    if config.preset:
        model += f" ({config.preset})"
    if config.preset in PRESETS:
        source = PRESETS[config.preset].source
    batch = f"batch {description.batch_size}"
    if description.sequence_length:
        batch += f" of {description.sequence_length} tokens"
    rows = {
        "model": model,
        "source": source,
        "data": ", ".join(f"{key}={value}" for key, value in description.data.items()),
        "parameters": f"{description.parameters:,} ({description.trainable_parameters:,} trainable)",
        "one step": f"{batch}, {description.precision}, {description.optimizer}",
        "  forward": _with_prefix(cost.forward_flops, 1000, "FLOP"),
        "  forward and backward": _with_prefix(cost.training_flops, 1000, "FLOP"),
        "memory": _with_prefix(description.training_bytes, 1024, "B"),
        "  weights": _with_prefix(description.weights_bytes, 1024, "B"),
        "  gradients": _with_prefix(description.gradients_bytes, 1024, "B"),
        "  optimizer state": _with_prefix(description.optimizer_bytes, 1024, "B"),
        "  activations": f"{_with_prefix(cost.activation_bytes, 1024, 'B')} kept for the backward pass",
    }
    width = max(map(len, rows))
    lines = [f"{key:{width}}  {value}" for key, value in rows.items() if value]
    lines.append("FLOP: multiplications and additions in matrix products and convolutions, counted separately.")
    return "\n".join(lines)


def _with_prefix(value: float, base: int, unit: str) -> str:
    """Formats a value with a prefix of its unit: ``1.26 GFLOP``, ``15.6 MiB``.

    Args:
        value: the value.
        base: 1000 for decimal prefixes, 1024 for binary ones.
        unit: of the value.
    """
    prefixes = ["", "k", "M", "G", "T", "P"] if base == 1000 else ["", "Ki", "Mi", "Gi", "Ti", "Pi"]
    power = 0
    while value >= base and power < len(prefixes) - 1:
        value /= base
        power += 1
    # From 1000 to 1023, three significant digits would become an exponent.
    number = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return f"{number} {prefixes[power]}{unit}"
