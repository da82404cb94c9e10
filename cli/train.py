"""``tfdl train``."""

import re
from typing import Any

import click

from tfdl.cli.failures import speaks
from tfdl.cli.options import debug_option
from tfdl.cli.signals import stop_between_steps

EPILOG = """\b
Examples:
  tfdl train                                                # the CNN on handwritten digits, no network needed
  tfdl train --model cnn --optimizer sgd --epochs 30
  tfdl train --task translation                             # dates to ISO 8601; also text-classification
  tfdl train --model resnet20 --dataset cifar10             # `tfdl models` lists the names
  tfdl train --model transformer                            # a language model of Python's reference; rnn, too
  horovodrun -np 4 tfdl train                               # one model on four ranks
  tfdl train --dataset cifar10 --image-size 24 --output runs/cifar
  tfdl train --output runs/cifar --resume --epochs 60       # go on with it
  tfdl train --optimizer adamw --schedule cosine --warmup-steps 50 --weight-decay 0.01
  tfdl train --set model.filters=[64,128] --set model.dropout=0.3
  tfdl train --config runs/cifar/config.yaml                # repeat a run
  tfdl train --epochs 5 --print-config > my.yaml
"""

# Option -> the configuration key that it sets.
_KEYS = {
    "model": "model",
    "preset": "model.preset",
    "task": "task",
    "dataset": "dataset",
    "data_dir": "dataset.data_dir",
    "image_size": "dataset.image_size",
    "augmentation": "dataset.augmentation",
    "text_column": "dataset.text_column",
    "label_column": "dataset.label_column",
    "source_column": "dataset.source_column",
    "target_column": "dataset.target_column",
    "skip_bad_rows": "dataset.skip_bad_rows",
    "sequence_length": "dataset.sequence_length",
    "tokenizer": "tokenizer",
    "batch_size": "batch_size",
    "accumulation_steps": "accumulation_steps",
    "learning_rate": "optimizer.learning_rate",
    "schedule": "optimizer.schedule",
    "warmup_steps": "optimizer.warmup_steps",
    "weight_decay": "optimizer.weight_decay",
    "optimizer": "optimizer",
    "label_smoothing": "label_smoothing",
    "precision": "precision",
    "compression": "compression",
    "xla": "xla",
    "seed": "seed",
    "watchdog_timeout": "watchdog_timeout",
    "sync_check_steps": "sync_check_steps",
}


def _names(kind: str) -> Any:
    """Completes a name in the shell from the configuration's own tables."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
        from tfdl.config import MODEL_CONFIGS, OPTIMIZER_CONFIGS, PRESETS
        from tfdl.data.tfds.known_sets import EMBEDDED_SETS, TFDS_SETS

        known = {
            "model": [*MODEL_CONFIGS, *PRESETS],
            "preset": list(PRESETS),
            "optimizer": list(OPTIMIZER_CONFIGS),
            "dataset": [one.name for one in (*EMBEDDED_SETS, *TFDS_SETS)],
            "task": ("image-classification", "text-classification", "language-modeling", "translation"),
            "tokenizer": ("byte", "character", "word", "bpe", "gpt2"),
            "schedule": ("constant", "linear", "cosine", "inverse_sqrt", "step", "one_cycle"),
            "xla": ("off", "on", "auto"),
            "compression": ("none", "float16", "bfloat16"),
            "precision": ("float32", "mixed_bfloat16", "mixed_float16", "float64"),
        }
        return [name for name in known[kind] if name.startswith(incomplete)]

    return complete


class ImageSize(click.ParamType):
    """``24`` or ``24x32``: height and width."""

    name = "N|HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        found = re.fullmatch(r"(\d+)(?:[x×](\d+))?", value)
        if not found:
            self.fail(f"{value!r}, expected pixels such as 24 or 24x32", param, ctx)
        height = int(found[1])
        return [height, int(found[2] or height)]


@click.command(epilog=EPILOG)
@click.option("--model", metavar="NAME", shell_complete=_names("model"), help="Family or preset.  [default: cnn]")
@click.option("--preset", metavar="NAME", shell_complete=_names("preset"), help="The family's shape by name.")
@click.option("--task", metavar="NAME", shell_complete=_names("task"),
              help="What the numbers mean.  [default: the model's own]")  # fmt: skip
@click.option("--dataset", metavar="NAME|PATH", shell_complete=_names("dataset"),
              help="Data set, or files of your own.  [default: the task's own, such as digits]")  # fmt: skip
@click.option("--data-dir", metavar="DIR", help="Prepared data.  [default: $TFDS_DATA_DIR or ~/tensorflow_datasets]")
@click.option("--image-size", type=ImageSize(), help="Resize images, in pixels.  [default: digits 24, else as is]")
@click.option(
    "--augmentation", metavar="NAMES", help="Of images, such as crop,flip,randaugment,mixup.  [default: digits affine]"
)
@click.option("--tokenizer", metavar="NAME", shell_complete=_names("tokenizer"),
              help="byte, character, word, bpe or gpt2.  [default: what suits the data set]")  # fmt: skip
@click.option("--sequence-length", type=int, help="Most tokens in a sample.  [default: the model's own]")
@click.option("--text-column", metavar="NAME", help="Column of the text.  [default: the one there is]")
@click.option("--label-column", metavar="NAME", help="Column of the class.")
@click.option("--source-column", metavar="NAME", help="Column of what is translated.")
@click.option("--target-column", metavar="NAME", help="Column of its translation.")
@click.option("--skip-bad-rows", is_flag=True, default=None, help="Leave out and count rows that cannot be used.")
@click.option("--config", "config_file", type=click.Path(), metavar="FILE", help="YAML configuration.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set any configuration key; repeatable.")
@click.option("--epochs", type=int, help="Passes over the training data.  [default: the recipe's, such as 20]")
@click.option("--steps", type=int, help="Optimizer steps, instead of epochs.")
@click.option("--batch-size", type=int, help="Samples in a step on each rank.  [default: the recipe's, such as 64]")
@click.option("--accumulation-steps", type=int, help="Batches that one optimizer step adds up.  [default: 1]")
@click.option("--learning-rate", type=float, help="Step size.  [default: the recipe's; adam 0.001, sgd 0.01]")
@click.option(
    "--optimizer",
    metavar="NAME",
    shell_complete=_names("optimizer"),
    help="adam, adamw or sgd.  [default: the recipe's, such as adam]",
)
@click.option("--schedule", metavar="NAME", shell_complete=_names("schedule"),
              help="constant, linear, cosine, inverse_sqrt, step or one_cycle.  [default: the recipe's]")  # fmt: skip
@click.option("--warmup-steps", type=int, help="Steps until the learning rate has its full size.  [default: 0]")
@click.option("--weight-decay", type=float, help="Decoupled; not of biases and gains.  [default: 0, adamw 0.004]")
@click.option("--label-smoothing", type=float, help="Of the training target, 0 to 1.  [default: 0]")
@click.option("--precision", metavar="NAME", shell_complete=_names("precision"),
              help="float32, mixed_bfloat16, mixed_float16 or float64.  [default: float32]")  # fmt: skip
@click.option("--compression", metavar="NAME", shell_complete=_names("compression"),
              help="Of gradients between ranks: none, float16 or bfloat16.  [default: none]")  # fmt: skip
@click.option(
    "--xla",
    metavar="WHEN",
    shell_complete=_names("xla"),
    help="Compile: on, off or auto.  [default: the recipe's, such as off]",
)
@click.option("--seed", type=int, help="Decides weights, order and dropout.  [default: 0]")
@click.option("--watchdog-timeout", type=float, metavar="SECONDS",
              help="How long ranks wait for one that hangs; 0: for ever.  [default: 600]")  # fmt: skip
@click.option("--sync-check-steps", type=int,
              help="Steps between comparisons of the ranks' states; 0: at the end alone.  [default: 200]")  # fmt: skip
@click.option("--output", type=click.Path(), metavar="DIR", help="Run directory.  [default: runs/MODEL-DATASET-TIME]")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --output.")
@click.option("--overwrite", is_flag=True, help="Replace the run in --output.")
@click.option("--elastic", is_flag=True, help="Ranks may die and join (horovodrun --host-discovery-script).")
@click.option("--commit-steps", type=int, help="With --elastic, steps between commits to memory.  [default: 100]")
@click.option("--print-config", is_flag=True, help="Print the resolved configuration and do nothing else.")
@debug_option
def command(
    config_file: str | None,
    assignments: tuple[str, ...],
    output: str | None,
    resume: bool,
    overwrite: bool,
    print_config: bool,
    elastic: bool,
    commit_steps: int | None,
    **options: Any,
) -> None:
    """Train a model and leave a run directory.

    Alone it trains on one GPU or on the CPU. Started by horovodrun it trains one model on all ranks.

    Configuration: a recipe for task and model, then --config, then --set, then the options, each over the one before;
    --print-config shows what comes out.
    """
    from tfdl.config import compose, to_yaml

    config = compose(*_layers(config_file, assignments, output if resume else None, options))
    if print_config:
        if speaks():
            click.echo(to_yaml(config), nl=False)
        return

    with stop_between_steps():
        _train(config, output, resume=resume, overwrite=overwrite, elastic=elastic, commit_steps=commit_steps)


def _train(config: Any, output: str | None, *, elastic: bool, **choices: Any) -> None:
    from tfdl.cli.quiet import quick_start

    quick_start()
    from tfdl.cli.progress import Progress
    from tfdl.training import train

    watchers = [Progress()] if speaks() or elastic else []  # of changing ranks, any may become the one that speaks
    train(config, output, callbacks=watchers, elastic=elastic, **choices)


def _precedence(item: tuple[str, Any]) -> int:
    """Names first, then presets: a new one drops the old one's fields, and what is set beside it is meant for it."""
    key = item[0]
    if "." not in key or key.endswith(".name"):
        return 0
    return 1 if key == "model.preset" else 2


def _layers(
    config_file: str | None, assignments: tuple[str, ...], resumed: str | None, options: dict[str, Any]
) -> list[dict[str, Any]]:
    from tfdl.config import assignment, load_yaml
    from tfdl.runs.run_directory import RunDirectory

    layers = []
    if resumed is not None and RunDirectory(resumed).has_run():
        layers.append(load_yaml(RunDirectory(resumed).config_path))
    if config_file is not None:
        layers.append(load_yaml(config_file))
    chosen = [assignment(text) for text in assignments]
    chosen += [(key, options[name]) for name, key in _KEYS.items() if options[name] is not None]
    chosen.sort(key=_precedence)
    layers.extend({key: value} for key, value in chosen)
    # One of the two lengths takes the place of the other, which a file may have set; both at once is an error.
    lengths = {name: options[name] for name in ("epochs", "steps") if options[name] is not None}
    if len(lengths) == 1:
        lengths = {"epochs": None, "steps": None, **lengths}
    return [*layers, lengths]
