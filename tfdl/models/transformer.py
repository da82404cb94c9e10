"""Builds the Transformer of the configured architecture."""

from typing import Any

import keras

from tfdl.config.models.transformer import TransformerConfig
from tfdl.errors import UserError
from tfdl.models.transformer_decoder import TransformerDecoder
from tfdl.models.transformer_encoder import TransformerTextClassifier, VisionTransformer
from tfdl.models.transformer_encoder_decoder import TransformerEncoderDecoder


def build(
    config: TransformerConfig,
    *,
    vocab_size: int | None = None,
    num_classes: int | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> keras.Model:
    """Builds the model that ``config.architecture`` names.

    Args:
        config: architecture, sizes and switches.
        vocab_size: number of tokens, for models that read tokens.
        num_classes: number of logits, for classifiers.
        input_shape: ``(height, width, channels)``, for models that read images.

    Returns:
        For ``decoder`` a model from tokens ``(batch, time)`` to logits ``(batch, time, vocab_size)``, see
        ``TransformerDecoder``. For ``encoder`` a model from tokens ``(batch, time)``, or with a ``patch_size`` from
        images, to logits ``(batch, num_classes)``, see ``TransformerTextClassifier`` and ``VisionTransformer``. For
        ``encoder-decoder`` a model from tokens of source and target to logits ``(batch, time, vocab_size)``, see
        ``TransformerEncoderDecoder``.

    Raises:
        UserError: an argument is missing, or the architecture does not take it.
    """
    arguments = {"vocab_size": vocab_size, "num_classes": num_classes, "input_shape": input_shape}
    if config.architecture == "decoder":
        return TransformerDecoder(config, **_select(config, arguments, "vocab_size"))
    if config.architecture == "encoder-decoder":
        return TransformerEncoderDecoder(config, **_select(config, arguments, "vocab_size"))
    if config.patch_size is None:
        return TransformerTextClassifier(config, **_select(config, arguments, "vocab_size", "num_classes"))
    return VisionTransformer(config, **_select(config, arguments, "input_shape", "num_classes"))


def _select(config: TransformerConfig, arguments: dict[str, Any], *names: str) -> dict[str, Any]:
    """The named arguments. All of them must be set, and no others."""
    missing = [name for name in names if arguments[name] is None]
    if missing:
        raise UserError(f"a Transformer {config.architecture} needs {' and '.join(missing)}, which its data decides")
    unused = [f"{name}={value}" for name, value in arguments.items() if value is not None and name not in names]
    if unused:
        raise UserError(
            f"a Transformer {config.architecture} takes only {' and '.join(names)} of its data, but got"
            f" {' and '.join(unused)} too; choose another model.architecture, or leave it out"
        )
    return {name: arguments[name] for name in names}
