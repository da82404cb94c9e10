"""``tfdl export``."""

from pathlib import Path

import click

from tfdl.cli.options import checkpoint_option, debug_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option
from tfdl.cli.settings import NamingOption, registered

EPILOG = """\b
Examples:
  tfdl export runs/digits exported/digits
  tfdl export runs/digits exported/digits --checkpoint best   # becomes the next version
  tfdl export runs/digits exported/keras --format keras       # model.keras, which Keras loads without tfdl
  tfdl export runs/digits exported/onnx --format onnx         # model.onnx, which onnxruntime runs without TensorFlow
  tfdl export runs/digits exported/small --format onnx --precision int8
  tfdl export runs/gpt exported/gpt --format huggingface      # config.json, model.safetensors, tokenizer.json
  tfdl export runs/digits exported/phone --format litert --precision int8
  tfdl export runs/tuned exported/adapter --format lora       # what fine-tuning added, without the base
  docker run -p 8501:8501 -v "$PWD/exported/digits:/models/digits" -e MODEL_NAME=digits tensorflow/serving
"""


@click.command(epilog=EPILOG)
@run_argument
@click.argument("directory", type=click.Path(), metavar="DIRECTORY")
@click.option(
    "--format",
    "format_name",
    cls=NamingOption,
    names=registered("EXPORT_FORMATS"),
    default="saved_model",
    show_default=True,
    metavar="NAME",
    help="What to write: {names}.",
)
@click.option(
    "--precision",
    metavar="NAME",
    help="Numbers of the weights, such as float16 or int8, if the format has them.  [default: float32]",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export: of a SavedModel, the newest version.")
@checkpoint_option
@plugin_option
@debug_option
def command(
    run: str,
    directory: str,
    format_name: str,
    precision: str | None,
    overwrite: bool,
    checkpoint: str,
    plugins: tuple[str, ...],
) -> None:
    """Write a run for other programs, and prove that it gives the same answers there.

    saved_model: DIRECTORY gets a numbered version folder, as TensorFlow Serving expects. The signature serving_default
    takes any number of raw images (uint8) or texts (strings). Preprocessing, tokenizer and decoding are included. The
    signatures encoded and examples take JPEG and PNG files, as they are and in tf.Examples; score and generate take
    texts. The SavedModel is loaded in a separate process without tfdl and Horovod, and the answers of each signature
    are compared.

    keras: DIRECTORY is a new folder with model.keras. Its layers are Keras's own, in float32. It takes raw pixels or
    token numbers, and returns probabilities or logits.

    onnx: DIRECTORY is a new folder with model.onnx. It takes raw pixels or token numbers. With --precision float16 the
    weights take half of the space; with int8 the model computes with integers. What that costs is measured on the test
    split and printed. A model that becomes much worse is not written.

    litert: DIRECTORY is a new folder with a TensorFlow Lite file for phones and small devices, and its classes or
    tokenizer. float16 and int8 are measured on the test split, and refused if they lose too much.

    huggingface: DIRECTORY is a new folder that transformers loads with the same weights: GPT-2, the Llama architecture,
    BERT, ViT and ResNet models. Its logits are compared: transformers is asked if it is installed, and tfdl's importer.

    lora: DIRECTORY is a new folder with the updates of low rank and a new head, and the SHA-256 of the weights that
    they belong to. `tfdl import DIRECTORY RUN --base BASE` makes a run of them.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.config import EXPORT_FORMATS, ExportRequest
    from tfdl.runs import RunDirectory

    RunDirectory.open(run).checkpoint(checkpoint)
    load_parts(plugins)
    spec = EXPORT_FORMATS.part(format_name).declaration
    request = ExportRequest(Path(run), Path(directory), checkpoint, overwrite, spec.checked_precision(precision))
    spec.check_directory(request)
    quick_start()
    from tfdl.distributed.launch import find_launch
    from tfdl.errors import UserError

    num_ranks = find_launch().size
    if num_ranks > 1:
        raise UserError(f"export on {num_ranks} ranks, expected 1 rank; start it without horovodrun")
    from tfdl.export.exact_numbers import hide_gpus

    hide_gpus()
    write = EXPORT_FORMATS.load(format_name)
    report = write(request)
    for line in report.lines:
        click.echo(line)
