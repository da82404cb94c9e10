"""``tfdl train``."""

import re
from collections.abc import Sequence
from typing import Any

import click

from tfdl.cli.callbacks import callback_option, load_callbacks
from tfdl.cli.durations import Duration
from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import debug_option
from tfdl.cli.parts import load_parts_and_model, plugin_option
from tfdl.cli.settings import (
    chosen_settings,
    dataset_names,
    field_choices,
    model_names,
    preset_names,
    registered,
    setting,
)
from tfdl.cli.signals import stop_between_steps

EPILOG = """\b
Examples:
  tfdl train                                                # the CNN on handwritten digits, no network needed
  tfdl train --model cnn --optimizer sgd --epochs 30
  tfdl train --task translation                             # dates to ISO 8601; also text-classification
  tfdl train --model resnet20 --dataset cifar10             # `tfdl models` lists the names
  tfdl train --model transformer                            # a language model of Python's reference; also rnn
  horovodrun -np 4 tfdl train                               # one model on four ranks
  tfdl train --dataset cifar10 --image-size 24 --output runs/cifar
  tfdl train --output runs/cifar --resume --epochs 60       # continue it
  tfdl train --epochs 200 --early-stopping-patience 5       # as long as it gets better
  tfdl train --on-divergence rollback                       # back to a checkpoint, with half the learning rate
  tfdl train --time-limit 3h55m --checkpoint-minutes 10     # in a job of four hours
  tfdl train --optimizer adamw --schedule cosine --warmup-steps 50 --weight-decay 0.01
  tfdl train --set model.filters=[64,128] --set model.dropout=0.3
  tfdl train --model my_parts:mlp                           # your own model, registered by my_parts.py
  tfdl train --callback my_tracking:callbacks               # MLflow, Weights & Biases, your own callbacks
  tfdl train --config runs/cifar/config.yaml                # repeat a run
  tfdl train --epochs 5 --print-config > my.yaml
  horovodrun -np 4 tfdl train --fast-dev-run                # the smoke test before a long job
"""


class ImageSize(click.ParamType):
    """A height and width in pixels: ``24x32``, or ``24`` for a square."""

    name = "N|HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        match = re.fullmatch(r"(\d+)(?:[x×](\d+))?", value)
        if not match:
            self.fail(f"{value!r}, expected pixels such as 24 or 24x32", param, ctx)
        height = int(match[1])
        width = int(match[2]) if match[2] else height
        return [height, width]


@click.command(epilog=EPILOG)
@setting("--model", "model", metavar="NAME", names=model_names,
         help="Family, preset, or MODULE:NAME.  [default: the task's, such as cnn]")  # fmt: skip
@setting("--preset", "model.preset", metavar="NAME", names=preset_names, help="Preset of the model's family.")
@setting("--task", "task", metavar="NAME", names=registered("TASKS"),
         help="What to train for: {names}.  [default: the model's default task]")  # fmt: skip
@setting("--dataset", "dataset", metavar="NAME|PATH", names=dataset_names,
         help="Data set, or the path of your own files.  [default: the task's, such as digits]")  # fmt: skip
@setting("--data-dir", "dataset.data_dir", metavar="DIR",
         help="Folder of prepared data sets.  [default: $TFDS_DATA_DIR or ~/tensorflow_datasets]")  # fmt: skip
@setting("--image-size", "dataset.image_size", type=ImageSize(),
         help="Resize images, in pixels.  [default: digits 24, others unchanged]")  # fmt: skip
@setting("--augmentation", "dataset.augmentation", metavar="NAMES", names=registered("AUGMENTATIONS"),
         help="Augmentations for images, comma-separated: {names}.  [default: digits affine]")  # fmt: skip
@setting("--tokenizer", "tokenizer", metavar="NAME", names=registered("TOKENIZERS"),
         help="Tokenizer: {names}.  [default: depends on the data set]")  # fmt: skip
@setting("--sequence-length", "dataset.sequence_length", type=int,
         help="Maximum number of tokens in a sample.  [default: the model's]")  # fmt: skip
@setting("--image-column", "dataset.image_column", metavar="NAME",
         help="Column of the image or its path.  [default: the only one with images]")  # fmt: skip
@setting("--text-column", "dataset.text_column", metavar="NAME",
         help="Column of the text.  [default: the only text column]")  # fmt: skip
@setting("--label-column", "dataset.label_column", metavar="NAME", help="Column of the class.")
@setting("--source-column", "dataset.source_column", metavar="NAME", help="Column of the text to translate.")
@setting("--target-column", "dataset.target_column", metavar="NAME", help="Column of its translation.")
@setting("--encoding", "dataset.encoding", metavar="NAME",
         help="Encoding of your own texts and tables, such as cp1252.  [default: utf-8]")  # fmt: skip
@setting("--delimiter", "dataset.delimiter", metavar="CHARACTER",
         help="What separates columns: a character, or tab.  [default: by the file's ending]")  # fmt: skip
@setting("--stratified", "dataset.stratified", is_flag=True, default=None,
         help="Split each class of your own files by itself, so that rare ones are in every split.")  # fmt: skip
@setting("--exact-labels", "dataset.exact_labels", is_flag=True, default=None,
         help="Compare labels as they are written: 7 and 007 are two classes.")  # fmt: skip
@setting("--skip-bad-rows", "dataset.skip_bad_rows", is_flag=True, default=None,
         help="Skip rows that cannot be used, and print how many.")  # fmt: skip
@setting("--limit-train-samples", "limit_train_samples", type=int, metavar="N",
         help="Use at most N training samples; also --limit-validation-samples, --limit-test-samples.")  # fmt: skip
@setting("--limit-validation-samples", "limit_validation_samples", type=int, metavar="N", hidden=True)
@setting("--limit-test-samples", "limit_test_samples", type=int, metavar="N", hidden=True)
@click.option("--config", "config_file", type=click.Path(), metavar="FILE", help="YAML configuration.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set any configuration key; repeatable.")
@plugin_option
@click.option("--epochs", type=int, help="Passes over the training data.  [default: the recipe's, such as 20]")
@click.option("--steps", type=int, help="Optimizer steps, instead of epochs.")
@setting("--batch-size", "batch_size", type=int,
         help="Samples that a rank computes at a time.  [default: the recipe's, such as 64]")  # fmt: skip
@setting("--auto-batch-size", "auto_batch_size", is_flag=True, default=None,
         help="Find the largest batch size that the GPUs' memory holds.")  # fmt: skip
@setting("--accumulation-steps", "accumulation_steps", type=int,
         help="Batches of a rank whose gradients one optimizer step adds up.  [default: 1]")  # fmt: skip
@setting("--learning-rate", "optimizer.learning_rate", type=float,
         help="Learning rate.  [default: the recipe's; adam 0.001, sgd 0.01]")  # fmt: skip
@setting("--optimizer", "optimizer", metavar="NAME", names=registered("OPTIMIZERS"),
         help="Optimizer: {names}.  [default: the recipe's, such as adam]")  # fmt: skip
@setting("--schedule", "optimizer.schedule", metavar="NAME", names=registered("SCHEDULES"),
         help="Learning-rate schedule: {names}.  [default: the recipe's]")  # fmt: skip
@setting("--schedule-epochs", "optimizer.schedule_epochs", type=float,
         help="Epochs that the schedule is planned for, if the run will be resumed.  [default: the run's]")  # fmt: skip
@setting("--warmup-steps", "optimizer.warmup_steps", type=int,
         help="Steps in which the learning rate rises to its peak.  [default: the recipe's, such as 0]")  # fmt: skip
@setting("--weight-decay", "optimizer.weight_decay", type=float,
         help="Decoupled weight decay, not of biases and gains.  [default: the recipe's; 0, adamw 0.004]")  # fmt: skip
@setting("--label-smoothing", "label_smoothing", type=float,
         help="Fraction of the target that is spread over all classes, 0 to 1.  [default: 0]")  # fmt: skip
@setting("--class-weight", "class_weight", metavar="WHAT",
         help="Weigh rare classes more: balanced, or NAME=WEIGHT,...")  # fmt: skip
@setting("--precision", "precision", metavar="NAME", names=field_choices("precision"),
         help="Number format of the computation: {names}.  [default: float32]")  # fmt: skip
@setting("--compression", "compression", metavar="NAME", names=field_choices("compression"),
         help="Number format of gradients between ranks: {names}.  [default: none]")  # fmt: skip
@setting("--xla", "xla", metavar="WHEN", names=field_choices("xla"),
         help="Compile with XLA: {names}.  [default: the recipe's, such as off]")  # fmt: skip
@setting("--initial-checkpoint", "initial_checkpoint", metavar="RUN",
         help="Start from the weights of another run, with its model and tokenizer.")  # fmt: skip
@click.option("--freeze", "frozen", multiple=True, metavar="PATTERN",
              help="Do not train these layers or variables, such as 'block_*' or '!logits'; repeatable.")  # fmt: skip
@setting("--seed", "seed", type=int, help="Seed of the weights, the order of samples and dropout.  [default: 0]")
@setting("--watchdog-timeout", "watchdog_timeout", type=float, metavar="SECONDS",
         help="How long ranks wait for one that hangs; 0 for no limit.  [default: 600]")  # fmt: skip
@setting("--sync-check-steps", "sync_check_steps", type=int,
         help="Steps between comparisons of the ranks' states; 0 for the end only.  [default: 200]")  # fmt: skip
@setting("--log-norms", "log_norms", is_flag=True, default=None, help="Log the norms of gradients and weights.")
@setting("--deterministic", "deterministic", is_flag=True, default=None,
         help="Use deterministic kernels alone; may be slower on GPUs.")  # fmt: skip
@setting("--early-stopping-patience", "early_stopping_patience", type=int, metavar="N",
         help="End after N validations without a better result, and restore the best weights.")  # fmt: skip
@setting("--plateau-patience", "plateau_patience", type=int, metavar="N",
         help="Multiply the learning rate by 0.1 after N validations without a better result.")  # fmt: skip
@setting("--validation-steps", "validation_steps", type=int,
         help="Steps between validations.  [default: one at the end of each epoch]")  # fmt: skip
@setting("--monitor", "monitor", metavar="METRIC",
         help="Validation metric that decides what is better.  [default: the task's, such as accuracy]")  # fmt: skip
@setting("--time-limit", "time_limit", type=Duration(),
         help="Stop with a checkpoint and exit code 75 after this time, such as 3h55m.")  # fmt: skip
@setting("--checkpoint-steps", "checkpoint_steps", type=int,
         help="Steps between checkpoints.  [default: one at the end of each epoch]")  # fmt: skip
@setting("--checkpoint-minutes", "checkpoint_minutes", type=float, help="Minutes between checkpoints within an epoch.")
@setting("--on-checkpoint-error", "on_checkpoint_error", metavar="WHAT", names=field_choices("on_checkpoint_error"),
         help="When a checkpoint cannot be written: {names}.  [default: stop]")  # fmt: skip
@setting("--on-divergence", "on_divergence", metavar="WHAT", names=field_choices("on_divergence"),
         help="When a loss or gradient is NaN or infinite: {names}, with half the rate.  [default: stop]")  # fmt: skip
@setting("--debug-numerics", "debug_numerics", is_flag=True, default=None,
         help="Also stop when a layer returns NaN or infinite values; slower.")  # fmt: skip
@callback_option
@click.option("--output", type=click.Path(), metavar="DIR", help="Run directory.  [default: runs/MODEL-DATASET-TIME]")
@click.option("--resume", is_flag=True, help="Continue from the last checkpoint in --output.")
@click.option("--overwrite", is_flag=True, help="Replace the run in --output.")
@click.option("--elastic", is_flag=True, help="Let ranks die and join (horovodrun --host-discovery-script).")
@click.option("--commit-steps", type=int, help="With --elastic, steps between commits to memory.  [default: 100]")
@click.option("--fast-dev-run", is_flag=True, help="Try every part of the run once, in seconds, and keep nothing.")
@click.option("--print-config", is_flag=True, help="Print the resolved configuration and do nothing else.")
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    config_file: str | None,
    assignments: tuple[str, ...],
    plugins: tuple[str, ...],
    callbacks: tuple[str, ...],
    epochs: int | None,
    steps: int | None,
    output: str | None,
    resume: bool,
    overwrite: bool,
    fast_dev_run: bool,
    print_config: bool,
    elastic: bool,
    commit_steps: int | None,
    frozen: tuple[str, ...],
    **_: Any,
) -> None:
    """Train a model and write a run directory.

    Without a launcher, it trains on one GPU or on the CPU. Started by horovodrun, it trains one model on all ranks.

    The defaults are a recipe for the task and the model. They are overridden by --config, then by --set, then by the
    options. --print-config prints the result.
    """
    from tfdl.config import compose, to_yaml

    settings = chosen_settings(ctx)
    plugins, model = load_parts_and_model(plugins, settings.get("model"))
    if model is not None:
        settings["model"] = model
    if frozen:
        settings["freeze"] = list(frozen)
    resumed = output if resume else None
    layers = _layers(config_file, assignments, resumed, settings)
    layers.append(_length(epochs, steps))
    layers.append(_plugins(layers, plugins))
    config = compose(*layers)
    if print_config:
        if is_printing_rank():
            click.echo(to_yaml(config), nl=False)
        return

    from tfdl.distributed.launchers import find_launch

    choices = {"resume": resume, "overwrite": overwrite, "commit_steps": commit_steps}
    with stop_between_steps(find_launch().launcher):
        _train(config, output, callbacks, elastic=elastic, fast_dev_run=fast_dev_run, **choices)


def _train(
    config: Any, output: str | None, callbacks: Sequence[str], *, elastic: bool, fast_dev_run: bool, **choices: Any
) -> None:
    from tfdl.cli.quiet import quick_start

    quick_start()
    from tfdl.cli.progress import Progress
    from tfdl.training import train

    # In an elastic job any rank may become the one that prints.
    watchers: list[Any] = [Progress(is_trial=fast_dev_run)] if is_printing_rank() or elastic else []
    watchers += load_callbacks(callbacks)
    train(config, output, callbacks=watchers, elastic=elastic, fast_dev_run=fast_dev_run, **choices)


def _layers(
    config_file: str | None, assignments: Sequence[str], resumed: str | None, settings: dict[str, Any]
) -> list[dict[str, Any]]:
    """The layers of the configuration: the resumed run's, ``--config``, ``--set``, options.

    Each layer overrides the one before.
    """
    from tfdl.config import assignment, load_yaml
    from tfdl.runs.run_directory import RunDirectory

    layers = []
    if resumed is not None and RunDirectory(resumed).has_run():
        layers.append(load_yaml(RunDirectory(resumed).config_path))
    if config_file is not None:
        layers.append(load_yaml(config_file))
    chosen = [*(assignment(text) for text in assignments), *settings.items()]
    chosen.sort(key=_precedence)
    layers.extend({key: value} for key, value in chosen)
    return layers


def _precedence(item: tuple[str, Any]) -> int:
    """Sorts the names of parts before presets, and presets before fields.

    A new name or preset drops the fields of the old one, so it must come before the fields that belong to it.
    """
    key = item[0]
    is_name = "." not in key or key.endswith((".name", ".schedule"))
    if is_name:
        return 0
    if key == "model.preset":
        return 1
    return 2


def _length(epochs: int | None, steps: int | None) -> dict[str, Any]:
    """The length that the options set.

    An option for epochs or for steps also clears the other one, which a file may have set. If both options are given,
    both are returned, and the configuration refuses them.
    """
    if epochs is not None and steps is not None:
        return {"epochs": epochs, "steps": steps}
    if epochs is not None:
        return {"epochs": epochs, "steps": None}
    if steps is not None:
        return {"epochs": None, "steps": steps}
    return {}


def _plugins(layers: Sequence[dict[str, Any]], plugins: Sequence[str]) -> dict[str, Any]:
    """The plugins that the command line names, and those that a file names."""
    if not plugins:
        return {}
    from tfdl.config.fields import convert

    named: set[str] = set()
    for layer in layers:
        named.update(convert(layer.get("plugins") or (), tuple[str, ...], "plugins"))
    return {"plugins": sorted({*named, *plugins})}
