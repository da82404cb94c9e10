"""Strings to ids to strings in a process that has TensorFlow, and none of ours."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.tokenizers.texts import CORPUS
from tfdl.export.parity import answers_of_saved_model

TEXTS = [*CORPUS, "", "they'll \t don't\n\n  <unk>, 漢字 \U0001f600!"]


@pytest.fixture(scope="module")
def answers(fitted, tmp_path_factory):
    """One SavedModel of all tokenizers, asked once."""
    module = tf.Module()
    module.graphs = [tokenizer.graph for tokenizer in fitted.values()]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(text):
        found = {}
        for name, tokenizer in fitted.items():
            ids = tokenizer.encode_in_graph(text)
            found |= {f"{name}_ids": ids.to_tensor(-1), f"{name}_text": tokenizer.decode_in_graph(ids)}
        return found

    folder = tmp_path_factory.mktemp("saved")
    tf.saved_model.save(module, str(folder), signatures=serve)
    texts = {"text": np.array([text.encode() for text in TEXTS])}
    return answers_of_saved_model(folder, {"serving_default": texts})["serving_default"]


@pytest.mark.parametrize("name", ["byte", "character", "word", "bpe", "gpt2"])
def test_a_saved_model_takes_and_returns_strings(answers, fitted, name):
    ids = [tokens[tokens >= 0].tolist() for tokens in answers[f"{name}_ids"]]
    assert ids == [fitted[name].encode(text) for text in TEXTS]
    assert [text.decode() for text in answers[f"{name}_text"]] == [fitted[name].decode(tokens) for tokens in ids]
