"""Rebuilds a model's graph with Keras's own layers, in float32."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tfdl.errors import UserError
from tfdl.export.keras import blocks, counterparts, recurrent, texts
from tfdl.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Dense,
    LayerNormalization,
    PaddedShortcut,
    PositionEmbedding,
    RMSNormalization,
    SegmentEmbedding,
    SimpleRNN,
    SinusoidalPositionEmbedding,
    TokenEmbedding,
    TransformerBlock,
)
from tfdl.layers.padding import MaskedMean, PaddingMask
from tfdl.layers.patch_embedding import ClassToken, PatchEmbedding
from tfdl.models import compute_precision
from tfdl.models.keras_model import finalize_layers
from tfdl.models.rnn_classifier import FinalStates, ReversedText, TextLengths

_OTHER_FLOATS = ("float16", "bfloat16", "float64")

# Layer of tfdl -> what computes the same from symbolic tensors.
_COUNTERPARTS: Mapping[type, Callable[..., Any]] = {
    BatchNormalization: counterparts.batch_normalization,
    ClassToken: counterparts.class_token,
    FinalStates: recurrent.final_states,
    GRU: recurrent.recurrent,
    LSTM: recurrent.recurrent,
    LayerNormalization: counterparts.normalization,
    MaskedMean: texts.masked_mean,
    PaddedShortcut: counterparts.padded_shortcut,
    PaddingMask: texts.padding_mask,
    PatchEmbedding: counterparts.patch_embedding,
    PositionEmbedding: texts.position_embedding,
    RMSNormalization: counterparts.normalization,
    ReversedText: recurrent.reversed_text,
    SegmentEmbedding: texts.segment_embedding,
    SimpleRNN: recurrent.recurrent,
    SinusoidalPositionEmbedding: texts.sinusoidal_positions,
    TextLengths: recurrent.text_lengths,
    TransformerBlock: blocks.transformer_block,
}


def plain_outputs(model: Any, inputs: Any) -> Any:
    """What a model computes from new inputs, in Keras's own layers with the same weights.

    Layers that neither Keras nor tfdl made stay what they are.

    Args:
        model: a functional or sequential ``keras.Model``.
        inputs: symbolic tensors in the structure of ``model.input``.

    Raises:
        UserError: the model is neither.
    """
    graph = graph_of(model)
    _freeze_within(model)
    with compute_precision("float32"):
        return graph._run_through_graph(inputs, operation_fn=lambda layer: layer, call_fn=_Rebuilder().call)


def graph_of(model: Any) -> Any:
    """The model as a functional one.

    Args:
        model: a ``keras.Model``.

    Raises:
        UserError: it is neither functional nor sequential.
    """
    graph = _graph_or_none(model)
    if graph is None:
        raise UserError(
            f"the model is a {type(model).__name__} without a graph of layers, expected a functional or sequential"
            " Keras model; export it as saved_model"
        )
    return graph


def has_graph(model: Any) -> bool:
    """Whether a model is functional or sequential.

    Args:
        model: a ``keras.Model``.
    """
    return _graph_or_none(model) is not None


def layers_in_other_precisions(model: Any) -> list[Any]:
    """The layers that compute in another precision than float32. Layers of strings and integers compute in none.

    Args:
        model: a ``keras.Model``.
    """
    return [layer for layer in model._flatten_layers() if layer.compute_dtype in _OTHER_FLOATS]


def float32_model(model: Any) -> Any:
    """The model, or where a layer computes in another precision one with the same weights that does not.

    Args:
        model: a ``keras.Model``.

    Raises:
        UserError: it has no graph of layers that could be made anew.
    """
    if not layers_in_other_precisions(model):
        return model
    inputs = keras.tree.map_structure(new_input, graph_of(model).input)
    return keras.Model(inputs, plain_outputs(model, inputs), name=model.name)


class _Rebuilder:
    """Makes the layers of a new graph."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}  # by the old layer's id, for layers that are called several times
        self._replaced: set[int] = set()

    def call(self, layer: Any, *arguments: Any, **options: Any) -> Any:
        """What a layer or an operation of the old graph computes from tensors of the new one."""
        if not isinstance(layer, keras.layers.Layer):
            return layer(*arguments, **options)
        counterpart = _COUNTERPARTS.get(type(layer))
        if counterpart is None:
            return self._plain(layer)(*arguments, **options)
        if layer.weights and id(layer) in self._replaced:
            raise UserError(
                f"the layer {layer.name!r} is called several times, and a {type(layer).__name__} of tfdl becomes new"
                " Keras layers at each call; export it as saved_model or onnx"
            )
        self._replaced.add(id(layer))
        _freeze_within(layer)
        return counterpart(layer, *arguments, **options)

    def _plain(self, layer: Any) -> Any:
        """The layer that takes a layer's place at each of its calls."""
        if id(layer) not in self._made:
            self._made[id(layer)] = _new_layer(layer)
        return self._made[id(layer)]


def _graph_or_none(model: Any) -> Any:
    """The graph of a functional or sequential model; None for other layers."""
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if hasattr(model, "_run_through_graph") else None


def _new_layer(layer: Any) -> Any:
    """One of Keras's layers, or of the user's, with the same weights."""
    graph = _graph_or_none(layer)
    if graph is not None:
        inputs = keras.tree.map_structure(new_input, graph.input)
        return keras.Model(inputs, plain_outputs(graph, inputs), name=layer.name)
    if type(layer) is TokenEmbedding:
        new_layer = texts.token_embedding(layer)
    elif type(layer) is Dense:
        new_layer = counterparts.new_dense(layer)
    else:
        new_layer = type(layer).from_config(_float32_config(layer.get_config()))
    if layer.weights:
        new_layer.build_from_config(layer.get_build_config() or {})
        new_layer.set_weights([_in_32_bits(value) for value in layer.weights])
        finalize_layers(new_layer)
    return new_layer


def new_input(tensor: Any, name: str | None = None) -> Any:
    """A symbolic input like another one.

    Args:
        tensor: the other one.
        name: of the new one. Defaults to the old one's.
    """
    dtype = "float32" if "float" in tensor.dtype else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=name or tensor.name)


def _freeze_within(layer: Any) -> None:
    """Tells the layers within a layer that is not trained that they are not either: they become layers by themselves.

    Those that a layer makes after it is frozen, as ``from_config`` does, do not know it yet.
    """
    if layer.trainable:
        return
    for inner in layer._flatten_layers(include_self=False):
        inner.trainable = False


def _in_32_bits(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype.kind in "biu" else array.astype(np.float32)


def _float32_config(config: Any) -> Any:
    """A layer's configuration in which it and the layers within it compute in float32."""
    if isinstance(config, list | tuple):
        return type(config)(_float32_config(value) for value in config)
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name")).endswith("DTypePolicy"):
        return {**config, "class_name": "DTypePolicy", "config": {"name": "float32"}}
    return {key: _float32_config(value) for key, value in config.items()}
