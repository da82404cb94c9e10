"""``tfdl export``."""

import click

from tfdl.cli.options import checkpoint_option, debug_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option

EPILOG = """\b
Examples:
  tfdl export runs/digits exported/digits
  tfdl export runs/digits exported/digits --checkpoint best   # becomes the next version
  tfdl export runs/gpt exported/gpt --format huggingface      # config.json, model.safetensors, tokenizer.json
  tfdl export runs/tuned exported/adapter --format lora       # what fine-tuning added, without the base
  docker run -p 8501:8501 -v "$PWD/exported/digits:/models/digits" -e MODEL_NAME=digits tensorflow/serving
"""


@click.command(epilog=EPILOG)
@run_argument
@click.argument("directory", type=click.Path(), metavar="DIRECTORY")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["saved_model", "huggingface", "lora"]),
    default="saved_model",
    show_default=True,
    help="A SavedModel, a folder that Hugging Face's transformers reads, or the updates of low rank alone.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export: of a SavedModel, the newest version.")
@checkpoint_option
@plugin_option
@debug_option
def command(
    run: str, directory: str, format_name: str, overwrite: bool, checkpoint: str, plugins: tuple[str, ...]
) -> None:
    """Write a run as a SavedModel and prove that it gives the same answers, or for Hugging Face.

    DIRECTORY gets a numbered version folder, as TensorFlow Serving expects. The signature serving_default takes any
    number of raw images (uint8) or texts (strings). Preprocessing, tokenizer and decoding are included. The signatures
    encoded and examples take JPEG and PNG files, as they are and in tf.Examples; score and generate take texts. The
    SavedModel is loaded in a separate process without tfdl and Horovod, and the answers of each signature are compared.

    With --format huggingface, DIRECTORY is a new folder that transformers loads with the same weights: GPT-2, the Llama
    architecture, BERT, ViT and ResNet models.

    With --format lora, DIRECTORY is a new folder with the updates of low rank and a new head, and the SHA-256 of the
    weights that they belong to. `tfdl import DIRECTORY RUN --base BASE` makes a run of them.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)
    load_parts(plugins)
    quick_start()
    from tfdl.distributed.launch import find_launch
    from tfdl.errors import UserError

    num_ranks = find_launch().size
    if num_ranks > 1:
        raise UserError(f"export on {num_ranks} ranks, expected 1 rank; start it without horovodrun")
    if format_name == "huggingface":
        _export_huggingface(run, directory, checkpoint, overwrite)
    elif format_name == "lora":
        _export_adapter(run, directory, checkpoint, overwrite)
    else:
        _export_saved_model(run, directory, checkpoint, overwrite)


def _export_huggingface(run: str, directory: str, checkpoint: str, overwrite: bool) -> None:
    from tfdl.interop import export_huggingface

    exported = export_huggingface(run, directory, checkpoint, overwrite=overwrite)
    click.echo(f"{exported.model_class} {exported.path}: {', '.join(exported.files)}")
    for note in exported.notes:
        click.echo(f"note: {note}")
    click.echo(f"load it with transformers.{exported.auto_class}.from_pretrained({str(exported.path)!r})")


def _export_adapter(run: str, directory: str, checkpoint: str, overwrite: bool) -> None:
    from tfdl.interop import export_adapter

    exported = export_adapter(run, directory, checkpoint, overwrite=overwrite)
    click.echo(f"adapter {exported.path}: {exported.parameters:,} parameters, for the weights of {exported.base.run}")
    click.echo(f"  SHA-256 of these weights {exported.base.sha256}")


def _export_saved_model(run: str, directory: str, checkpoint: str, overwrite: bool) -> None:
    from tfdl.export import export_saved_model

    exported = export_saved_model(run, directory, checkpoint, overwrite=overwrite)
    click.echo(f"SavedModel {exported.path}")
    for name, signature in exported.signatures.items():
        click.echo(f"  {name}")
        for direction, tensors in (("takes", signature.inputs), ("returns", signature.outputs)):
            for tensor, (dtype, shape) in tensors.items():
                click.echo(f"    {direction:8} {tensor}: {dtype} {shape}")
    click.echo(
        f"parity: largest difference {exported.largest_difference:.3g} over {exported.compared} samples,"
        " loaded without tfdl and Horovod"
    )
