"""``tfdl export``."""

import click

from tfdl.cli.options import checkpoint_option, debug_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option

EPILOG = """\b
Examples:
  tfdl export runs/digits exported/digits
  tfdl export runs/digits exported/digits --checkpoint best   # becomes the next version
  docker run -p 8501:8501 -v "$PWD/exported/digits:/models/digits" -e MODEL_NAME=digits tensorflow/serving
"""


@click.command(epilog=EPILOG)
@run_argument
@click.argument("directory", type=click.Path(), metavar="DIRECTORY")
@checkpoint_option
@plugin_option
@debug_option
def command(run: str, directory: str, checkpoint: str, plugins: tuple[str, ...]) -> None:
    """Write a run as a SavedModel and prove that it gives the same answers.

    DIRECTORY gets a numbered version folder, as TensorFlow Serving expects. The signature serving_default takes any
    number of raw images (uint8) or texts (strings). Preprocessing, tokenizer and decoding are included. The SavedModel
    is loaded in a separate process without tfdl and Horovod, and compared with the model.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)
    load_parts(plugins)
    quick_start()
    from tfdl.distributed.launch import find_launch
    from tfdl.errors import UserError
    from tfdl.export import export_saved_model

    num_ranks = find_launch().size
    if num_ranks > 1:
        raise UserError(f"export on {num_ranks} ranks, expected 1 rank; start it without horovodrun")
    exported = export_saved_model(run, directory, checkpoint)
    click.echo(f"SavedModel {exported.path}")
    for name, (dtype, shape) in exported.inputs.items():
        click.echo(f"  takes    {name}: {dtype} {shape}")
    for name, (dtype, shape) in exported.outputs.items():
        click.echo(f"  returns  {name}: {dtype} {shape}")
    click.echo(
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared} samples,"
        " loaded without tfdl and Horovod"
    )
