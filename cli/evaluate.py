"""``tfdl evaluate``."""

import json
from collections.abc import Sequence
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import check_length_penalty, checkpoint_option, debug_option, json_option, length_penalty_option
from tfdl.cli.parts import load_parts, plugin_option

# The most classes whose confusion matrix fits into a terminal.
MOST_SHOWN_CLASSES = 20

EPILOG = """\b
Examples:
  tfdl evaluate runs/digits
  tfdl evaluate runs/digits --split validation --checkpoint best
  horovodrun -np 4 tfdl evaluate runs/digits                # the same numbers, sooner
  tfdl evaluate runs/digits runs/sgd runs/resnet20          # side by side
  tfdl evaluate runs/digits --json | jq .accuracy
  tfdl evaluate runs/digits --json --details | jq .classes
  tfdl evaluate runs/translator --beams 4                   # beam search instead of the likeliest token
  tfdl evaluate runs/mlp --plugin my_parts                  # a run with your own model
"""


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, type=click.Path(), metavar="RUN...")
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@checkpoint_option
@json_option
@click.option("--details", is_flag=True, help="Print each class and the confusion matrix for any number of classes.")
@click.option("--beams", type=click.IntRange(1), metavar="N", help="Search translations with N beams.")
@length_penalty_option
@plugin_option
@debug_option
def command(
    runs: tuple[str, ...],
    split: str,
    checkpoint: str,
    as_json: bool,
    details: bool,
    beams: int | None,
    length_penalty: float,
    plugins: tuple[str, ...],
) -> None:
    """Measure a trained run on one of its splits, or compare several runs.

    For the test split, the results equal those in the run's summary.json. For a classifier with at most 20 classes,
    each class and the confusion matrix are printed as well. For translations, the first few are printed. With --json,
    --details adds all of these. Several runs are printed side by side; with --json, they are a list.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    check_length_penalty(beams is not None)
    for run in runs:
        RunDirectory.open(run).checkpoint(checkpoint)  # a wrong path is reported before TensorFlow is imported
    load_parts(plugins)
    quick_start()
    import keras

    from tfdl import distributed
    from tfdl.evaluation import evaluate_in_detail

    world = distributed.init(elastic=False)
    evaluations = []
    for run in runs:
        keras.utils.clear_session()  # the last run's graphs
        evaluation = evaluate_in_detail(run, split, checkpoint, world, beams=beams, length_penalty=length_penalty)
        evaluations.append(evaluation)
    if not is_printing_rank():
        return
    if as_json:
        for run, evaluation in zip(runs, evaluations, strict=True):
            if evaluation.note:
                click.echo(f"note: {run}: {evaluation.note}", err=True)  # standard output is for programs
        values = [_to_json(evaluation, details) for evaluation in evaluations]
        if len(runs) > 1:
            listed = [{"run": run, **value} for run, value in zip(runs, values, strict=True)]
            click.echo(json.dumps(listed))
        else:
            click.echo(json.dumps(values[0]))
        return
    if len(runs) == 1:
        click.echo(f"{runs[0]}, {split} split, checkpoint {checkpoint}")
        _show(evaluations[0], details)
        return
    click.echo(f"{split} split, checkpoint {checkpoint}")
    _compare(runs, evaluations)


def _to_json(evaluation: Any, details: bool) -> dict[str, Any]:
    from tfdl.runs.json_values import json_values

    values = {**evaluation.metrics, **evaluation.details} if details else evaluation.metrics
    converted: dict[str, Any] = json_values(values)
    return converted


def _compare(runs: Sequence[str], evaluations: Sequence[Any]) -> None:
    """Prints the metrics of several runs, a column for each run."""
    from tfdl.cli.tables import metrics_table, print_tables
    from tfdl.runs import RunDirectory

    for run in runs:
        config = RunDirectory(run).read_config()
        click.echo(f"{run}: {config.model.label} on {config.dataset.name}, {config.task}")
    print_tables(metrics_table(runs, [evaluation.metrics for evaluation in evaluations]))
    for run, evaluation in zip(runs, evaluations, strict=True):
        if evaluation.note:
            click.echo(f"note: {run}: {evaluation.note}")
        if evaluation.warning:
            click.echo(f"warning: {run}: {evaluation.warning}")


def _show(evaluation: Any, details: bool) -> None:
    """Prints the metrics, then the examples and classes that the evaluation has."""
    from tfdl.cli.tables import class_table, confusion_table, print_tables

    width = max(map(len, evaluation.metrics))
    for name, value in evaluation.metrics.items():
        click.echo(f"  {name:{width}}  {value:.6g}")
    if evaluation.note:
        click.echo(f"note: {evaluation.note}")
    if evaluation.warning:
        click.echo(f"warning: {evaluation.warning}")
    for example in evaluation.details.get("examples", []):
        click.echo()
        for role, text in example.items():
            click.echo(f"  {role:11}  {text!r}")
    classes = evaluation.details.get("classes", {})
    if classes and (details or len(classes) <= MOST_SHOWN_CLASSES):
        matrix = evaluation.details["confusion_matrix"]
        print_tables(class_table(classes), confusion_table(list(classes), matrix))
