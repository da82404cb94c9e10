"""Options of the command line that set a key of the configuration, with choices from the declared parts."""

import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import click

Names = Callable[[], Sequence[str]]


class Setting(click.Option):
    """An option that sets one key of the configuration.

    Args:
        key: the configuration key, such as ``optimizer.learning_rate``.
        names: values to complete in the shell, and to list in the help where its text has ``{names}``.
    """

    def __init__(self, *arguments: Any, key: str, names: Names | None = None, **options: Any):
        self.key = key
        self.names = names
        if names is not None:
            options["shell_complete"] = self._complete
        super().__init__(*arguments, **options)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its help; the names are looked up now, so that importing a command imports no
        configuration."""
        text = self.help
        if text is not None and self.names is not None:
            self.help = text.replace("{names}", in_words(self.names()))
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = text

    def _complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG002
        assert self.names is not None
        return [name for name in self.names() if name.startswith(incomplete)]


def setting(option: str, key: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that sets ``key``; other arguments are those of ``Setting`` and ``click.option``."""
    return click.option(option, cls=Setting, key=key, **options)


def chosen_settings(ctx: click.Context) -> dict[str, Any]:
    """Configuration key -> value, of the options that the user gave."""
    settings = [option for option in ctx.command.params if isinstance(option, Setting)]
    values = {option.key: ctx.params[option.name] for option in settings if option.name is not None}
    return {key: value for key, value in values.items() if value is not None}


def registered(registry: str) -> Names:
    """The names in one of the registries of ``tfdl.config``."""

    def names() -> Sequence[str]:
        import tfdl.config

        found: Sequence[str] = getattr(tfdl.config, registry).names
        return found

    return names


def model_names() -> Sequence[str]:
    """Families and presets."""
    from tfdl.config import MODELS, PRESETS

    return [*MODELS, *PRESETS]


def preset_names() -> Sequence[str]:
    """Presets of all families."""
    from tfdl.config import PRESETS

    return list(PRESETS)


def dataset_names() -> Sequence[str]:
    """Declared data sets, and well-known ones of TFDS."""
    from tfdl.data.tfds.known_sets import TFDS_SETS, declared_sets

    return [known.name for known in (*declared_sets(), *TFDS_SETS)]


def field_choices(field: str) -> Names:
    """The values that a field of ``TrainConfig`` may have, from its type."""

    def names() -> Sequence[str]:
        from tfdl.config import TrainConfig

        hint = typing.get_type_hints(TrainConfig)[field]
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            hint = typing.get_args(hint)[0]
        return typing.get_args(hint)

    return names


def in_words(names: Sequence[str]) -> str:
    """``adam, adamw or sgd``."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
