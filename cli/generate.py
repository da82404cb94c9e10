"""``tfdl generate``."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import click

from tfdl.cli.failures import is_printing_rank
from tfdl.cli.options import check_length_penalty, checkpoint_option, debug_option, length_penalty_option, run_argument
from tfdl.cli.parts import load_parts, plugin_option
from tfdl.cli.pipes import reader_may_leave
from tfdl.errors import UserError

EPILOG = """\b
Examples:
  tfdl generate runs/gpt --prompt "ROMEO:"                          # the most likely tokens
  tfdl generate runs/gpt --prompt "ROMEO:" --temperature 0.8 --top-k 50 --seed 7
  tfdl generate runs/gpt --prompt "ROMEO:" --top-p 0.9 --num-samples 3 --stop "JULIET:"
  tfdl generate runs/gpt --prompt "ROMEO:" --beams 4
  tfdl generate runs/translator --prompt "Good morning" --beams 4   # a translation
  tfdl generate runs/gpt --prompts prompts.txt --json > texts.jsonl
  echo "ROMEO:" | tfdl generate runs/gpt --prompts -
"""
# Tokens between two pieces that are printed, and those of a block that nobody waits for.
_PRINTED_BLOCK = 8
_WHOLE_BLOCK = 32
# Option -> the sampler and its field, in the order in which the samplers act.
_FIELDS = {
    "repetition_penalty": ("repetition_penalty", "penalty"),
    "temperature": ("random", "temperature"),
    "top_k": ("top_k", "k"),
    "top_p": ("top_p", "p"),
    "min_p": ("min_p", "p"),
}


def _count(default: int, least: int = 1) -> dict[str, Any]:
    """What options have in common that are a whole number."""
    return {"type": click.IntRange(least), "default": default, "show_default": True, "metavar": "N"}


@click.command(epilog=EPILOG)
@run_argument
@click.argument("arguments", nargs=-1, metavar="[TEXT]...")
@click.option("--prompt", "texts", multiple=True, metavar="TEXT", help="Text to continue or to translate; repeatable.")
@click.option("--prompts", "file", metavar="FILE", help="File with a prompt on each line; - reads standard input.")
@click.option("--max-new-tokens", **_count(100), help="Most tokens of a text.")
@click.option("--temperature", type=float, metavar="T", help="Draw at random; below 1 prefers likely tokens more.")
@click.option("--top-k", type=int, metavar="N", help="Draw from the N most likely tokens.")
@click.option("--top-p", type=float, metavar="P", help="Draw from the fewest tokens that have the probability P.")
@click.option("--min-p", type=float, metavar="P", help="Draw from tokens of at least P times the largest probability.")
@click.option(
    "--repetition-penalty", type=float, metavar="X", help="Lower the scores of tokens used before, such as 1.2."
)
@click.option("--sampler", "named", multiple=True, metavar="NAME", help="Another sampler, after these; repeatable.")
@click.option("--beams", **_count(1), help="Search the likeliest text with N hypotheses.")
@length_penalty_option
@click.option("--stop", multiple=True, metavar="TEXT", help="End a text before this string; repeatable.")
@click.option("--seed", **_count(0, least=0), help="Of the random numbers.")
@click.option("--num-samples", **_count(1), help="Texts for each prompt.")
@click.option("--batch-size", **_count(8), help="Most texts written at the same time.")
@click.option(
    "--weights",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="bfloat16 rounds the weights, and reads them in half of the time.",
)
@click.option("--xla", is_flag=True, help="Compile by XLA: takes seconds, and pays for long texts in batches.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each text, on a line.")
@click.option("--skip-bad-rows", is_flag=True, help="Leave out prompts that cannot be used, with a line for each.")
@checkpoint_option
@plugin_option
@debug_option
def command(
    run: str,
    arguments: tuple[str, ...],
    texts: tuple[str, ...],
    file: str | None,
    as_json: bool,
    skip_bad_rows: bool,
    checkpoint: str,
    plugins: tuple[str, ...],
    batch_size: int,
    weights: str,
    xla: bool,
    **options: Any,
) -> None:
    """Continue texts with a trained language model, or translate them with an encoder-decoder.

    Each token is the most likely one, unless --temperature, --top-k, --top-p, --min-p or a sampler asks for tokens that
    are drawn at random. These can be combined; they act in this order. A single text is printed as it is written.
    """
    from tfdl.cli.prompts import read_prompts
    from tfdl.cli.quiet import quick_start
    from tfdl.runs import RunDirectory

    if not is_printing_rank():
        return  # one rank writes the texts
    prompts = read_prompts((*arguments, *texts), file)
    check_length_penalty(options["beams"] > 1)
    RunDirectory.open(run).checkpoint(checkpoint)  # a wrong path is reported before TensorFlow is imported
    load_parts(plugins)
    options["samplers"] = _samplers(options)
    quick_start()
    from tfdl.inference.generation import Generator
    from tfdl.runs import load_run

    loaded = load_run(run, checkpoint, merged=True)
    is_alone = len(prompts) == options["num_samples"] == 1 and not as_json
    block_size = _PRINTED_BLOCK if is_alone else _WHOLE_BLOCK
    sizes = {"batch_size": batch_size, "block_size": block_size}
    generator = Generator(loaded.model, loaded.task, **sizes, weights=weights, xla=xla)
    prompts = _usable(prompts, generator, skip_bad_rows)
    with reader_may_leave():
        _write(generator, prompts, as_json, is_alone, options)


def _write(generator: Any, prompts: Sequence[str], as_json: bool, is_alone: bool, options: dict[str, Any]) -> None:
    if as_json:
        for text in generator.stream(prompts, **options):
            click.echo(json.dumps(dataclasses.asdict(text)))
            if text.finish == "positions":
                _print_note(text, generator)
    elif is_alone:
        _print_as_written(generator, prompts[0], options)
    else:
        _print_whole(generator, prompts, options)


def _samplers(options: dict[str, Any]) -> list[Any]:
    """The samplers that the options name, in the order in which they act. Their options are removed.

    Raises:
        UserError: an unknown sampler, or a value out of range.
    """
    from tfdl.config import assignment, choose_samplers

    values: list[Any] = []
    for option, (name, field) in _FIELDS.items():
        value = options.pop(option)
        if option == "temperature" and value == 0:
            values.append({"name": "greedy"})  # the limit of small temperatures
        elif value is not None:
            values.append({"name": name, field: value})
            _check_option(option, values[-1])
    for text in options.pop("named"):
        name, _, fields = text.partition(":")
        assignments = [
            assignment(field, f"--sampler {name}", "temperature=0.8") for field in fields.split(",") if field
        ]
        values.append({"name": name, **dict(assignments)})
    return list(choose_samplers(values))


def _check_option(option: str, sampler: dict[str, Any]) -> None:
    """Raises ``UserError``, with the option that the user wrote in place of the sampler's field, for a wrong value."""
    from tfdl.config import choose_samplers

    try:
        choose_samplers(sampler)
    except UserError as error:
        _, _, expected = str(error).partition(", expected ")
        if option == "temperature":
            expected = "0 (the most likely token) or a positive number such as 0.8"
        _, field = _FIELDS[option]
        raise UserError(f"--{option.replace('_', '-')} {sampler[field]:g}, expected {expected}") from error


def _usable(prompts: Sequence[str], generator: Any, skip_bad_rows: bool) -> list[str]:
    """The prompts that the model can read.

    Raises:
        UserError: the first prompt that it cannot read, unless these are left out; or there is no other.
    """
    usable = []
    for number, prompt in enumerate(prompts, start=1):
        try:
            generator.prompt(prompt)
        except UserError as error:
            if not skip_bad_rows:
                raise
            click.echo(f"left out: prompt {number}: {error}", err=True)
        else:
            usable.append(prompt)
    if not usable:
        raise UserError(f"none of the {len(prompts)} prompts can be used, expected at least one that can")
    return usable


def _print_as_written(generator: Any, prompt: str, options: dict[str, Any]) -> None:
    """Prints a text piece by piece."""
    before = prompt if generator.continues_prompts else ""

    def show(_: int, piece: str) -> None:
        nonlocal before
        click.echo(before + piece, nl=False)
        before = ""

    (text,) = generator.generate([prompt], on_text=show, **options)
    click.echo(before)
    _print_note(text, generator)


def _print_whole(generator: Any, prompts: Sequence[str], options: dict[str, Any]) -> None:
    """Prints texts one after the other, with an empty line between them."""
    between = ""
    for text in generator.stream(prompts, **options):
        before = text.prompt if generator.continues_prompts else ""
        click.echo(f"{between}{before}{text.text}")
        _print_note(text, generator)
        between = "\n"


def _print_note(text: Any, generator: Any) -> None:
    """Explains a text that is shorter than the user asked for."""
    if text.finish != "positions":
        return
    count, most = len(text.tokens), generator.num_positions
    if generator.continues_prompts:
        reason = f"at the last of the model's {most} positions; a model trained with a larger sequence_length has more"
    else:
        reason = f"the most that this model writes ({most} with the end token)"
    click.echo(f"note: the text ends after {count} tokens, {reason}", err=True)
