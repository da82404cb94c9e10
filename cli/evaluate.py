"""``tfdl evaluate``."""

import json

import click

from tfdl.cli.failures import speaks
from tfdl.cli.options import checkpoint_option, debug_option, json_option, run_argument

EPILOG = """\b
Examples:
  tfdl evaluate runs/digits
  tfdl evaluate runs/digits --split validation --checkpoint best
  horovodrun -np 4 tfdl evaluate runs/digits                # the same numbers, sooner
  tfdl evaluate runs/digits --json | jq .accuracy
"""


@click.command(epilog=EPILOG)
@run_argument
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@checkpoint_option
@json_option
@debug_option
def command(run: str, split: str, checkpoint: str, as_json: bool) -> None:
    """Measure a trained run on one of its splits.

    For the test split the numbers are those of the run's summary.json.
    """
    from tfdl.cli.quiet import quiet_start
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)  # a wrong path is told before TensorFlow is imported
    quiet_start()
    from tfdl import distributed
    from tfdl.evaluation import evaluate

    metrics = evaluate(run, split, checkpoint, distributed.init())
    if not speaks():
        return
    if as_json:
        click.echo(json.dumps(metrics))
        return
    width = max(map(len, metrics))
    click.echo(f"{run}, {split} split, checkpoint {checkpoint}")
    for name, value in metrics.items():
        click.echo(f"  {name:{width}}  {value:.6g}")
