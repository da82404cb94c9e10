"""``tfdl import``."""

import shlex
from typing import Any

import click

from tfdl.cli.options import debug_option
from tfdl.errors import UserError

EPILOG = """\b
Examples:
  tfdl import HuggingFaceTB/SmolLM2-135M runs/smollm2
  tfdl import ./gpt2 runs/gpt2                        # a folder; no network
  tfdl import google/vit-base-patch16-224 runs/vit --revision main
  tfdl import exported/adapter runs/tuned --base runs/smollm2   # of `tfdl export --format lora`
  tfdl import ./bert-imdb runs/bert --dataset imdb_reviews && tfdl evaluate runs/bert
"""


@click.command("import", epilog=EPILOG)
@click.argument("source", metavar="FOLDER|HUB-NAME")
@click.argument("run", type=click.Path(), metavar="RUN")
@click.option("--revision", metavar="NAME", help="Branch, tag or commit on the hub.")
@click.option(
    "--dataset", metavar="NAME|PATH", help="Data that `tfdl evaluate` reads.  [default: the task's, or the adapter's]"
)
@click.option(
    "--sequence-length",
    type=int,
    metavar="N",
    help="Most tokens that are evaluated together.  [default: the model's positions; 1024 for language models]",
)
@click.option("--base", metavar="RUN", help="Run that an adapter (--format lora) was trained on.")
@debug_option
def command(
    source: str, run: str, revision: str | None, dataset: str | None, sequence_length: int | None, base: str | None
) -> None:
    """Make a run of a pretrained Hugging Face model.

    GPT-2, the Llama architecture (Llama, SmolLM2, TinyLlama, Mistral, Qwen2), BERT classifiers, ViT and ResNet are
    read from config.json, safetensors files, and the tokenizer's or preprocessor's files. Pickles are never read, and
    no code of the folder is run. RUN is a new directory, which the other commands take like a trained one.
    """
    from tfdl.cli.quiet import quick_start
    from tfdl.interop.adapter_folder import is_adapter
    from tfdl.interop.hub import find_model
    from tfdl.runs.free_folder import free_folder

    free_folder(run)
    if sequence_length is not None and sequence_length < 1:
        raise UserError(f"--sequence-length {sequence_length}, expected at least 1")
    folder = find_model(source, revision)
    if base is None and is_adapter(folder):
        raise UserError(f"{source!r} is an adapter, expected --base RUN, the run that it was trained on")
    quick_start()
    from tfdl.distributed.launch import find_launch

    num_ranks = find_launch().size
    if num_ranks > 1:
        raise UserError(f"import on {num_ranks} ranks, expected 1 rank; start it without horovodrun")
    if base is not None:
        from tfdl.interop import import_adapter

        import_adapter(folder, base, run, dataset=dataset)
        click.echo(f"{run}: the weights of {base} with the adapter {folder}")
        return
    from tfdl.interop import import_model

    origin = source if revision is None else f"{source} at {revision}"
    imported = import_model(folder, run, source=origin, dataset=dataset, sequence_length=sequence_length)
    _show(imported, run)


def _show(imported: Any, run: str) -> None:
    """Prints what was read, and what can be done with it."""
    click.echo(f"{run}: {imported.architecture}, {imported.parameters:,} parameters, {imported.task}")
    if imported.tokenizer:
        form = "texts" if imported.has_graph else "token numbers"
        click.echo(f"  tokenizer {imported.tokenizer}; exports take {form}")
    for note in imported.notes:
        click.echo(f"  {note}")
    quoted = shlex.quote(run)
    click.echo("Next:")
    if imported.task == "language-modeling":
        click.echo(f"  tfdl generate {quoted} --prompt TEXT")
    else:
        click.echo(f"  tfdl predict {quoted} INPUT...")
    click.echo(f"  tfdl train --initial-checkpoint {quoted} --dataset NAME   # fine-tune it")
    click.echo(f"  tfdl export {quoted} DIRECTORY")
