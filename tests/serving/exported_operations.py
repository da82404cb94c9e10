"""The operations of the graphs that tfdl exports: of every family, task and tokenizer, with all of their choices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.data.tokenizers.texts import CORPUS
from tfdl.config import MODELS, choose_tokenizer
from tfdl.data.images import FIRST_RULES
from tfdl.data.tokenizers import Tokenizer, fit_tokenizer
from tfdl.export.saved_model import _servable
from tfdl.inference.generation.served_generation import generation_signatures
from tfdl.models import build_model
from tfdl.serving.saved_model_file import read_meta_graph
from tfdl.serving.trust import check_trusted
from tfdl.tasks import ImageClassification, LanguageModeling, TextClassification, Translation

Choice = tuple[str, dict[str, Any]]
"""The name of a family, and fields of its configuration."""

CLASSES = ("yes", "no", "perhaps")
TINY_TRANSFORMER = {"num_layers": 1, "hidden_dim": 16, "num_heads": 2, "sequence_length": 16}
TOKENIZERS: tuple[Any, ...] = ("byte", "character", "word", {"name": "bpe", "vocab_size": 300})
IMAGE_MODELS: tuple[Choice, ...] = (
    ("cnn", {"filters": [4], "units": 8, "dropout": 0.5}),
    ("resnet", {"blocks": [1, 1], "filters": [4, 8], "shortcut": "projection", "stem": "7x7"}),
    ("resnet", {"blocks": [1, 1], "filters": [4, 8], "block": "bottleneck"}),
    ("transformer", {**TINY_TRANSFORMER, "architecture": "encoder", "patch_size": 4, "pooling": "first"}),
)
LANGUAGE_MODELS: tuple[Choice, ...] = (
    ("rnn", {"units": 8, "num_layers": 2}),
    ("rnn", {"units": 8, "cell": "gru", "tie_embeddings": True}),
    ("rnn", {"units": 8, "cell": "simple"}),
    ("transformer", TINY_TRANSFORMER),
    (
        "transformer",
        {
            **TINY_TRANSFORMER,
            "activation": "swiglu",
            "normalization": "rms",
            "positions": "rotary",
            "rotary_scaling": "yarn",
            "rotary_scaling_factor": 2.0,
            "rotary_original_length": 8,
            "num_key_value_heads": 1,
            "sliding_window": 8,
        },
    ),
    ("transformer", {**TINY_TRANSFORMER, "activation": "relu", "positions": "sinusoidal", "norm_first": False}),
)
TEXT_MODELS: tuple[Choice, ...] = (
    ("rnn", {"units": 8, "bidirectional": True}),
    ("transformer", {**TINY_TRANSFORMER, "architecture": "encoder", "activation": "gelu_exact"}),
    ("transformer", {**TINY_TRANSFORMER, "architecture": "encoder", "pooling": "first", "positions": "rotary"}),
)


def exported_operations(
    folder: Path,
    images: Sequence[Choice] = IMAGE_MODELS,
    languages: Sequence[Choice] = LANGUAGE_MODELS,
    texts: Sequence[Choice] = TEXT_MODELS,
    beams: Sequence[int] = (1, 2),
) -> set[str]:
    """The operations of the SavedModels of some models, which are written one after the other. All must be trusted.

    Args:
        folder: an empty one.
        images: models of images, by family and fields.
        languages: language models.
        texts: classifiers of texts.
        beams: hypotheses of each translation model.
    """
    found: set[str] = set()
    tokenizers = [fit_tokenizer(choose_tokenizer(choice), iter(CORPUS)) for choice in TOKENIZERS]
    tasks: list[tuple[Any, Choice]] = []
    for number, choice in enumerate(images):
        tasks.append((_image_task(number), choice))
    for number, choice in enumerate(languages):
        tasks.append((LanguageModeling(_in_turn(tokenizers, number), 16, carries_state=choice[0] == "rnn"), choice))
    for number, choice in enumerate(texts):
        tasks.append((TextClassification(_in_turn(tokenizers, number), CLASSES, 16), choice))
    for num_beams in beams:
        translation = Translation(tokenizers[num_beams], 16)
        translation.search_with(num_beams, 0.6)
        tasks.append((translation, ("transformer", {**TINY_TRANSFORMER, "architecture": "encoder-decoder"})))
    for number, (task, choice) in enumerate(tasks):
        model = built(choice, task)
        signatures = task.signatures() | generation_signatures(model, task)
        module, functions = _servable(model, task, signatures)
        path = folder / str(number)
        tf.saved_model.save(module, str(path), signatures=functions)
        meta_graph = read_meta_graph(path)
        check_trusted(path, meta_graph, is_described=True)
        found |= operations_of(meta_graph)
    return found


def operations_of(meta_graph: Any) -> set[str]:
    """The operations of a graph and of all functions in it.

    Args:
        meta_graph: of a SavedModel.
    """
    library = meta_graph.graph_def.library.function
    nodes = [*meta_graph.graph_def.node, *(node for function in library for node in function.node_def)]
    return {node.op for node in nodes} - {function.signature.name for function in library}


def built(choice: Choice, task: Any) -> Any:
    """A model with random weights.

    Args:
        choice: its family and fields.
        task: that it serves.
    """
    name, fields = choice
    config = MODELS[name](**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
    return build_model(config, **task.model_arguments)


def _image_task(number: int) -> ImageClassification:
    """Images of two sizes, in grey and in colours, resized or not."""
    is_odd = number % 2 == 1
    size = 8 if is_odd else 24  # batch normalization has another kernel for larger images
    task = ImageClassification((size, size, 1 if is_odd else 3), CLASSES, resized=not is_odd)
    if number == 1:
        task.image_rules = FIRST_RULES
    return task


def _in_turn(tokenizers: list[Tokenizer], number: int) -> Tokenizer:
    return tokenizers[number % len(tokenizers)]
