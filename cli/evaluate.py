"""``tfdl evaluate``."""

import json

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import checkpoint_option, debug_option, json_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option

# A terminal has room for a confusion matrix of so many classes.
MOST_SHOWN_CLASSES = 20

EPILOG = """\b
Examples:
  tfdl evaluate runs/digits
  tfdl evaluate runs/digits --split validation --checkpoint best
  horovodrun -np 4 tfdl evaluate runs/digits                # the same numbers, sooner
  tfdl evaluate runs/digits --json | jq .accuracy
  tfdl evaluate runs/digits --json --details | jq .classes
  tfdl evaluate runs/mlp --plugin my_parts                  # a run of your own model
"""


@click.command(epilog=EPILOG)
@run_argument
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@checkpoint_option
@json_option
@click.option("--details", is_flag=True, help="Also each class and the confusion matrix, however many classes.")
@plugin_option
@debug_option
def command(run: str, split: str, checkpoint: str, as_json: bool, details: bool, plugins: tuple[str, ...]) -> None:
    """Measure a trained run on one of its splits.

    For the test split the numbers are those of the run's summary.json. Of a classifier with at most 20 classes each
    class and the confusion matrix are shown, too, of translations the first few; in JSON they come with --details.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)  # a wrong path is reported before TensorFlow is imported
    load_parts(plugins)
    quick_start()
    from tfdl import distributed
    from tfdl.evaluation import evaluate_in_detail

    found = evaluate_in_detail(run, split, checkpoint, distributed.init())
    if not is_printing_rank():
        return
    if as_json:
        click.echo(json.dumps({**found.metrics, **(found.details if details else {})}))
        return
    from tfdl.cli.tables import class_table, confusion_table, print_tables

    width = max(map(len, found.metrics))
    click.echo(f"{run}, {split} split, checkpoint {checkpoint}")
    for name, value in found.metrics.items():
        click.echo(f"  {name:{width}}  {value:.6g}")
    for example in found.details.get("examples", []):
        click.echo("\n" + "\n".join(f"  {role:11}  {text!r}" for role, text in example.items()))
    classes = found.details.get("classes", {})
    if classes and (details or len(classes) <= MOST_SHOWN_CLASSES):
        print_tables(class_table(classes), confusion_table(list(classes), found.details["confusion_matrix"]))
