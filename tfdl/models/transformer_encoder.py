r"""Encoder-only Transformers that classify: of texts (BERT) and of images (ViT)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from tfdl.config.models.transformer import TransformerConfig
from tfdl.errors import UserError
from tfdl.layers.dense import Dense
from tfdl.layers.padding import MaskedMean, PaddingMask
from tfdl.layers.patch_embedding import ClassToken, PatchEmbedding
from tfdl.layers.transformer_block import build_normalization
from tfdl.models.data_arguments import check_counts, check_image_shape
from tfdl.models.precision import compute_precision
from tfdl.models.transformer_layers import (
    build_block,
    build_dropout,
    build_final_norm,
    build_head,
    build_position_embedding,
    build_token_embedding,
    new_normal,
)


class _Encoder(keras.Model):
    """Blocks in which every position sees every other, one vector for the whole, and a dense layer of logits."""

    def _build_encoder(self, config: TransformerConfig, num_classes: int, sequence_length: int) -> None:
        """The layers between embedding and logits, in the order of the computation."""
        self.position_embedding = build_position_embedding(config, sequence_length)
        self.embedding_norm = None
        if not config.norm_first:
            same: dict[str, Any] = {"epsilon": config.epsilon, "center": config.use_bias}
            self.embedding_norm = build_normalization(config.normalization, name="embedding_norm", **same)
        self.embedding_dropout = build_dropout(config)
        self.blocks = [
            build_block(config, f"block_{number}", is_causal=False) for number in range(1, config.num_layers + 1)
        ]
        self.final_norm = build_final_norm(config)
        self.mean = MaskedMean(name="mean") if config.pooling == "mean" else None
        self.head_dropout = build_dropout(config, name="head_dropout")
        self.head = build_head(num_classes, use_bias=True)

    def _encoded(self, x: Any, padding_mask: Any) -> Any:
        """Vectors ``(B, T, D)`` to what they mean beside each other, ``(B, T, D)``."""
        for layer in (self.position_embedding, self.embedding_norm, self.embedding_dropout):
            x = x if layer is None else layer(x)
        for block in self.blocks:
            x = block(x, padding_mask=padding_mask)
        return x if self.final_norm is None else self.final_norm(x)

    def _scored(self, pooled: Any) -> Any:
        """``(B, D)`` to logits ``(B, C)``."""
        return self.head(pooled if self.head_dropout is None else self.head_dropout(pooled))


@keras.saving.register_keras_serializable(package="tfdl")
class TransformerTextClassifier(_Encoder):
    r"""Scores the classes of a text (Devlin et al., 2018, https://arxiv.org/abs/1810.04805).

    Token and position vectors, blocks of self-attention to both sides and feed-forward layers, and one vector for the
    text: the mean over its tokens, or with ``pooling="first"`` the first token's through a layer of $\tanh$, as in
    BERT. Texts of unequal lengths are padded at the end with token 0, which is never looked at.

    Args:
        config: sizes and switches, a ``TransformerConfig`` or its fields.
        vocab_size: $V$, how many tokens there are, padding included.
        num_classes: $C$.
        dtype: the precision that the model computes in; the current one if not given.

    Call arguments:
        inputs: tokens ``(B, T)``.
        training: whether to drop values.

    Returns:
        Logits ``(B, C)``, in float32, or in float64 under that policy.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        vocab_size: int,
        num_classes: int,
        dtype: Any = None,
        name: str = "transformer_text_classifier",
    ):
        check_counts(vocab_size=vocab_size, num_classes=num_classes)
        config = config if isinstance(config, TransformerConfig) else TransformerConfig(**config)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.vocab_size, self.num_classes = config, vocab_size, num_classes
        with compute_precision(policy.name):
            self.padding_mask = PaddingMask(name="padding_mask")
            self.token_embedding = build_token_embedding(config, vocab_size)
            self._build_encoder(config, num_classes, config.sequence_length)
            self.pooler = None
            if config.pooling == "first":
                self.pooler = Dense(config.hidden_dim, "tanh", kernel_initializer=new_normal(), name="pooler")
            tokens = keras.Input((None,), dtype="int32", name="tokens")  # (B, T)
            super().__init__(tokens, self._classified(tokens), name=name)
        self.dtype_policy = policy

    def _classified(self, tokens: Any) -> Any:
        mask = self.padding_mask(tokens)  # (B, T)
        x = self._encoded(self.token_embedding(tokens), mask)  # (B, T, D)
        if self.pooler is None:
            assert self.mean is not None
            return self._scored(self.mean(x, padding_mask=mask))
        return self._scored(self.pooler(x[:, 0]))

    def get_config(self) -> dict[str, Any]:
        return _config_of(self, "vocab_size", "num_classes")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
        return cls(**config)


@keras.saving.register_keras_serializable(package="tfdl")
class VisionTransformer(_Encoder):
    """Scores the classes of an image (Dosovitskiy et al., 2020, https://arxiv.org/abs/2010.11929).

    Vectors of square patches with positions, blocks of self-attention and feed-forward layers, and one vector for the
    image: the mean over its patches, or with ``pooling="first"`` a learned token's before them, as in the paper.

    Args:
        config: sizes and switches, a ``TransformerConfig`` with a ``patch_size``, or its fields.
        input_shape: ``(height, width, channels)``.
        num_classes: $C$.
        dtype: the precision that the model computes in; the current one if not given.

    Call arguments:
        inputs: images ``(B, H, W, C)``.
        training: whether to drop values.

    Returns:
        Logits ``(B, C)``, in float32, or in float64 under that policy.

    Raises:
        UserError: sides that the patches do not divide.
    """

    def __init__(
        self,
        config: TransformerConfig | Mapping[str, Any],
        input_shape: tuple[int, int, int],
        num_classes: int,
        dtype: Any = None,
        name: str = "vision_transformer",
    ):
        config = config if isinstance(config, TransformerConfig) else TransformerConfig(**config)
        patches = _count_patches(config, input_shape)
        check_counts(num_classes=num_classes)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.config, self.image_shape, self.num_classes = config, tuple(input_shape), num_classes
        with compute_precision(policy.name):
            assert config.patch_size is not None
            self.patch_embedding = PatchEmbedding(
                config.patch_size, config.hidden_dim, new_normal(), name="patch_embedding"
            )
            self.class_token = ClassToken(name="class_token") if config.pooling == "first" else None
            self._build_encoder(config, num_classes, patches + (config.pooling == "first"))
            images = keras.Input(input_shape, name="image")  # (B, H, W, C)
            super().__init__(images, self._classified(images), name=name)
        self.dtype_policy = policy

    def _classified(self, images: Any) -> Any:
        x = self.patch_embedding(images)  # (B, N, D)
        if self.class_token is None:
            assert self.mean is not None
            return self._scored(self.mean(self._encoded(x, None)))
        return self._scored(self._encoded(self.class_token(x), None)[:, 0])

    def get_config(self) -> dict[str, Any]:
        config = _config_of(self, "num_classes")
        return {**config, "input_shape": self.image_shape}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # noqa: ARG003
        return cls(**config)


def _count_patches(config: TransformerConfig, input_shape: tuple[int, ...]) -> int:
    check_image_shape(input_shape)
    height, width, _ = input_shape
    side = config.patch_size
    if side is None:
        raise UserError("an encoder of images without model.patch_size, expected the side of a patch, such as 4")
    if height % side or width % side:
        raise UserError(
            f"images of {height}x{width} cannot be cut into patches of {side}x{side}; give a model.patch_size that"
            " divides both sides, or another dataset.image_size"
        )
    return (height // side) * (width // side)


def _config_of(model: Any, *names: str) -> dict[str, Any]:
    return {
        "config": dataclasses.asdict(model.config),
        **{name: getattr(model, name) for name in names},
        "dtype": keras.dtype_policies.serialize(model.dtype_policy),
        "name": model.name,
    }
