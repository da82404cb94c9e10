"""Transformers, by their architecture."""

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
    """The model that ``config.architecture`` names.

    Args:
        config: architecture, sizes and switches.
        vocab_size: how many tokens there are, for models that read tokens.
        num_classes: number of logits, for models that classify.
        input_shape: ``(height, width, channels)``, for models that read images.

    Returns:
        ``decoder``: tokens ``(B, T)`` to logits ``(B, T, vocab_size)``, see ``TransformerDecoder``.
        ``encoder``: tokens ``(B, T)``, or with a ``patch_size`` images, to logits ``(B, num_classes)``, see
        ``TransformerTextClassifier`` and ``VisionTransformer``. ``encoder-decoder``: tokens of source and target to
        logits ``(B, T, vocab_size)``, see ``TransformerEncoderDecoder``.

    Raises:
        UserError: an argument is missing, or has no meaning for the architecture.
    """
    given = {"vocab_size": vocab_size, "num_classes": num_classes, "input_shape": input_shape}
    if config.architecture == "decoder":
        return TransformerDecoder(config, **_exactly(config, given, "vocab_size"))
    if config.architecture == "encoder-decoder":
        return TransformerEncoderDecoder(config, **_exactly(config, given, "vocab_size"))
    if config.patch_size is None:
        return TransformerTextClassifier(config, **_exactly(config, given, "vocab_size", "num_classes"))
    return VisionTransformer(config, **_exactly(config, given, "input_shape", "num_classes"))


def _exactly(config: TransformerConfig, given: dict[str, Any], *names: str) -> dict[str, Any]:
    """The named arguments, all of which must be there, and nothing else."""
    missing = [name for name in names if given[name] is None]
    if missing:
        raise UserError(f"a Transformer {config.architecture} needs {' and '.join(missing)}, which its data decides")
    unused = [name for name, value in given.items() if value is not None and name not in names]
    if unused:
        raise UserError(
            f"a Transformer {config.architecture} takes {' and '.join(names)} of its data, and got"
            f" {' and '.join(f'{name}={given[name]}' for name in unused)} besides; choose another model.architecture,"
            " or leave it out"
        )
    return {name: given[name] for name in names}
