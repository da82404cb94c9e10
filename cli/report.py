"""``tfdl report``."""

from pathlib import Path
from typing import Any

import click

from tfdl.cli.options import checkpoint_option, debug_option
from tfdl.cli.parts import load_parts, plugin_option
from tfdl.errors import UserError

EPILOG = """\b
Examples:
  tfdl report runs/digits                                   # runs/digits/report/report.html
  tfdl report runs/digits --split validation --checkpoint best --output digits.html
  tfdl report runs/digits runs/sgd runs/resnet20            # side by side, in report/
  tfdl report runs/digits --no-model                        # from the files alone: quick, also of a running run
  tfdl report runs/mlp --plugin my_parts --overwrite        # a run with your own model; replaces its last report
"""


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, type=click.Path(), metavar="RUN...")
@click.option("--output", type=click.Path(), metavar="PATH",
              help="Folder, or FILE.html for the page.  [default: RUN/report; of several runs report]")  # fmt: skip
@click.option("--split", default="test", show_default=True, metavar="NAME", help="train, validation or test.")
@checkpoint_option
@click.option("--no-model", is_flag=True, help="Read the files of the runs alone: without classes, mistakes, samples.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
@plugin_option
@debug_option
def command(
    runs: tuple[str, ...],
    output: str | None,
    split: str,
    checkpoint: str,
    no_model: bool,
    overwrite: bool,
    plugins: tuple[str, ...],
) -> None:
    """Write a page about a run: curves, results, mistakes, samples, cost; or about several runs side by side.

    The page is one HTML file that loads nothing from elsewhere. Beside it are its figures as PNG files. The model of
    each run answers one split of its data. The findings are printed as well: whether a model is better than guessing,
    which checkpoint is the best, and what may be wrong.
    """
    import logging

    # The first figure on a machine lists its fonts, which matplotlib would report.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)

    if no_model:
        _check_unused("split", "checkpoint")
    else:
        _prepare(runs, checkpoint, plugins, output, overwrite)
    from tfdl.reporting import report

    made = report(list(runs), output, split=split, checkpoint=checkpoint, use_model=not no_model, overwrite=overwrite)
    _show(made)


def _check_unused(*names: str) -> None:
    """Raises ``UserError`` for options that say something about the model, which is not used."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise UserError(f"--{name} has no meaning with --no-model, which reads files alone; leave one of them out")


def _prepare(
    runs: tuple[str, ...], checkpoint: str, plugins: tuple[str, ...], output: str | None, overwrite: bool
) -> None:
    """Reports a wrong path before TensorFlow is imported, then imports it."""
    from tfdl.cli.quiet import quick_start
    from tfdl.reporting.report_output import report_output
    from tfdl.runs import RunDirectory

    for path in runs:
        run = RunDirectory.open(path)
        if checkpoint != "last":  # a run without any checkpoint still gets a report
            run.checkpoint(checkpoint)
    load_parts(plugins)
    report_output(output, [Path(path) for path in runs], overwrite=overwrite)
    quick_start()


def _show(made: Any) -> None:
    """Prints the findings and the files."""
    from tfdl.cli.cells import printable

    for finding in made.findings:
        if not finding.run:
            click.echo(f"{finding.kind}: {printable(finding.text)}")
    for run in made.runs:
        listed = run.facts.listed
        letter = f"{run.letter} " if len(made.runs) > 1 else ""
        what = f"{listed.model or 'unknown model'} on {listed.dataset or 'unknown data'}"
        click.echo(printable(f"{letter}{run.name}: {listed.state}, {what}"))
        for finding in run.findings:
            click.echo(f"  {finding.kind}: {printable(finding.text)}")
    size = made.page.stat().st_size / 1024
    click.echo(f"report {printable(str(made.page))} ({size:,.0f} KiB)")
    figures = [path.name for path in made.files[1:]]
    if figures:
        click.echo(f"  figures {', '.join(figures)}")
