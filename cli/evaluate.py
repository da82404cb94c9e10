"""``tfdl evaluate``."""

import json
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import checkpoint_option, debug_option, json_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option

# The most classes whose confusion matrix fits into a terminal.
MOST_SHOWN_CLASSES = 20

EPILOG = """\b
Examples:
  tfdl evaluate runs/digits
  tfdl evaluate runs/digits --split validation --checkpoint best
  horovodrun -np 4 tfdl evaluate runs/digits                # the same numbers, sooner
  tfdl evaluate runs/digits --json | jq .accuracy
  tfdl evaluate runs/digits --json --details | jq .classes
  tfdl evaluate runs/mlp --plugin my_parts                  # a run with your own model
"""


@click.command(epilog=EPILOG)
@run_argument
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@checkpoint_option
@json_option
@click.option("--details", is_flag=True, help="Print each class and the confusion matrix for any number of classes.")
@plugin_option
@debug_option
def command(run: str, split: str, checkpoint: str, as_json: bool, details: bool, plugins: tuple[str, ...]) -> None:
    """Measure a trained run on one of its splits.

    For the test split, the results equal those in the run's summary.json. For a classifier with at most 20 classes,
    each class and the confusion matrix are printed as well. For translations, the first few are printed. With --json,
    --details adds all of these.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)  # a wrong path is reported before TensorFlow is imported
    load_parts(plugins)
    quick_start()
    from tfdl import distributed
    from tfdl.evaluation import evaluate_in_detail
    from tfdl.runs.json_values import json_values

    evaluation = evaluate_in_detail(run, split, checkpoint, distributed.init())
    if not is_printing_rank():
        return
    if as_json:
        values = {**evaluation.metrics, **evaluation.details} if details else evaluation.metrics
        click.echo(json.dumps(json_values(values)))
        return
    click.echo(f"{run}, {split} split, checkpoint {checkpoint}")
    _show(evaluation, details)


def _show(evaluation: Any, details: bool) -> None:
    """Prints the metrics, then the examples and classes that the evaluation has."""
    from tfdl.cli.tables import class_table, confusion_table, print_tables

    width = max(map(len, evaluation.metrics))
    for name, value in evaluation.metrics.items():
        click.echo(f"  {name:{width}}  {value:.6g}")
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
