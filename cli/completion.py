"""``tfdl completion``: prints a completion script for the shell."""

import click
from click.shell_completion import get_completion_class

EPILOG = """\b
Examples:
  eval "$(tfdl completion bash)"                            # this shell
  tfdl completion bash >> ~/.bashrc                         # every new bash
  tfdl completion fish > ~/.config/fish/completions/tfdl.fish
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes tfdl commands in your shell."""
    from tfdl.cli.main import group

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(group, {}, "tfdl", "_TFDL_COMPLETE").source())
