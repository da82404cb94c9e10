"""Options with choices from the declared parts, and those that set a key of the configuration."""

import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import click

Names = Callable[[], Sequence[str]]


class NamingOption(click.Option):
    """An option whose values are names of declared parts.

    Args:
        names: returns the values that the shell completes, and that replace ``{names}`` in the help text.
    """

    def __init__(self, *arguments: Any, names: Names | None = None, **options: Any):
        self.names = names
        if names is not None:
            options["shell_complete"] = self._complete
        super().__init__(*arguments, **options)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Returns the option and its help, with the names in place.

        The names are looked up here, because importing a command must not import the configuration.
        """
        template = self.help
        if template is not None and self.names is not None:
            self.help = template.replace("{names}", in_words(self.names()))
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = template

    def _complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG002
        assert self.names is not None
        return [name for name in self.names() if name.startswith(incomplete)]


class Setting(NamingOption):
    """An option that sets one key of the configuration.

    Args:
        key: the configuration key, such as ``optimizer.learning_rate``.
    """

    def __init__(self, *arguments: Any, key: str, **options: Any):
        self.key = key
        super().__init__(*arguments, **options)


def setting(option: str, key: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares an option that sets one key of the configuration.

    Args:
        option: the option, such as ``--seed``.
        key: the configuration key.
        **options: further arguments of ``Setting`` and of ``click.option``.
    """
    return click.option(option, cls=Setting, key=key, **options)


def chosen_settings(ctx: click.Context) -> dict[str, Any]:
    """Returns configuration key -> value for the options that the user gave."""
    chosen = {}
    for option in ctx.command.params:
        if isinstance(option, Setting) and option.name is not None:
            value = ctx.params[option.name]
            if value is not None:
                chosen[option.key] = value
    return chosen


def registered(registry: str) -> Names:
    """Returns a function that looks up the names in one of the registries of ``tfdl.config``."""

    def names() -> Sequence[str]:
        import tfdl.config

        parts: Sequence[str] = getattr(tfdl.config, registry).names
        return parts

    return names


def model_names() -> Sequence[str]:
    """The names of model families and presets."""
    from tfdl.config import MODELS, PRESETS

    return [*MODELS, *PRESETS]


def preset_names() -> Sequence[str]:
    """The names of the presets of all families."""
    from tfdl.config import PRESETS

    return list(PRESETS)


def dataset_names() -> Sequence[str]:
    """The names of declared data sets, and of well-known ones of TFDS."""
    from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets

    return [known.name for known in (*declared_sets(), *TFDS_SETS)]


def field_choices(field: str) -> Names:
    """Returns a function that looks up the values of a field of ``TrainConfig``, whose type is a ``Literal``."""

    def names() -> Sequence[str]:
        from tfdl.config import TrainConfig

        hint = typing.get_type_hints(TrainConfig)[field]
        is_optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
        if is_optional:
            hint = typing.get_args(hint)[0]
        return typing.get_args(hint)

    return names


def in_words(names: Sequence[str]) -> str:
    """Joins names: ``adam, adamw or sgd``."""
    *first, last = names
    if not first:
        return last
    return f"{', '.join(first)} or {last}"
