"""The signature by which a served language model writes texts."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfdl.inference.generation.served_sampling import served_choice
from tfdl.inference.generation.steppers.choice import language_stepper_for
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.served_signature import ServedSignature
from tfdl.tasks.text_inputs import random_inputs, text_signature, tokens_of

GENERATE = "generate"
_NO_TOKEN = -1
# New tokens of a text of a model without a longest text. The graph has room for all of them before it writes the first.
_MOST_NEW = 2**16
# Texts, and tokens of each, on which an export and its model are compared.
_MOST_TEXTS = 8
_MOST_TOKENS = 16
_GREEDY_TEXTS = 2
# How they are written.
_DRAWN: dict[str, np.ndarray] = {
    "max_new_tokens": np.array(8, np.int32),
    "temperature": np.array(0.8, np.float32),
    "top_k": np.array(40, np.int32),
    "top_p": np.array(0.95, np.float32),
    "seed": np.array(1, np.int32),
}
_GREEDY = {
    **_DRAWN,
    "temperature": np.array(0, np.float32),
    "top_k": np.array(0, np.int32),
    "top_p": np.array(1, np.float32),
}


def generation_signatures(model: Any, task: Any) -> dict[str, ServedSignature]:
    """``generate``, for a language model; nothing for another task.

    Args:
        model: the model.
        task: its task.
    """
    if not isinstance(task, LanguageModeling):
        return {}
    generation = ServedGeneration(model, task)
    return {
        GENERATE: ServedSignature(generation.inputs, generation.answer, generation.sample, generation.greedy_sample)
    }


class ServedGeneration:
    """Continues texts inside one graph.

    Args:
        model: a language model.
        task: its task.
    """

    def __init__(self, model: Any, task: LanguageModeling):
        self._task = task
        self._stepper = language_stepper_for(model, task)

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """``text`` (or ``token_ids``) of each row, and settings for all rows, scalars."""
        return {
            **text_signature(self._task.tokenizer),
            "max_new_tokens": tf.TensorSpec([], tf.int32, name="max_new_tokens"),
            "temperature": tf.TensorSpec([], tf.float32, name="temperature"),
            "top_k": tf.TensorSpec([], tf.int32, name="top_k"),
            "top_p": tf.TensorSpec([], tf.float32, name="top_p"),
            "seed": tf.TensorSpec([], tf.int32, name="seed"),
        }

    def sample(self, count: int) -> dict[str, np.ndarray]:
        """See ``ServedSignature.sample``."""
        most = max(2, min(_MOST_TOKENS, self._task.sequence_length))
        inputs = random_inputs(self._task.tokenizer, min(count, _MOST_TEXTS), most, 0)
        longest = self._stepper.longest
        if "text" in inputs and longest is not None:
            inputs["text"] = np.array([self._shortened(text.decode(), longest - 2) for text in inputs["text"]])
        return {**inputs, **_DRAWN}

    def greedy_sample(self) -> list[dict[str, np.ndarray]]:
        """See ``ServedSignature.special_samples``."""
        return [{**self.sample(_GREEDY_TEXTS), **_GREEDY}]

    def _shortened(self, text: str, most: int) -> bytes:
        """A text of at most so many tokens. Random tokens may be a text of more tokens than they are."""
        while len(self._task.tokenizer.encode(text)) > most:
            text = text[: len(text) // 2]
        return text.encode()

    def answer(self, model: Any, text: Any = None, token_ids: Any = None, **settings: Any) -> dict[str, Any]:  # noqa: ARG002
        """Continues each text.

        Args:
            model: the model that this object has.
            text: strings ``(b,)``.
            token_ids: the texts' tokens ``(b, t)`` instead, for a tokenizer without a form for a graph.
            **settings: ``max_new_tokens``, of which a text gets those that the model has positions for;
                ``temperature``, ``top_k`` and ``top_p`` as for ``served_choice``; and ``seed``. A text gets the same
                continuation for the same seed, whatever the other rows are.

        Returns:
            ``generated`` ``(b,)``: what follows each text; or ``generated_ids`` ``(b, n)`` for a tokenizer without a
            form for a graph, -1 after the end. ``tokens`` ``(b,)``: the number of new tokens, without the end.
            ``log_probability`` ``(b,)``: of all new tokens by the model, in nats.
        """
        num_texts = tf.shape(token_ids if text is None else text)[0]
        prompts = tokens_of(self._task.tokenizer, text, token_ids)  # (b, None)
        with tf.control_dependencies(self._checks(prompts, settings)):
            written, log_probability = self._write(tf.identity(prompts.row_lengths()), prompts, settings)
        is_token = (written != _NO_TOKEN) & (written != self._task.tokenizer.end_id)
        answers = {
            "tokens": tf.reduce_sum(tf.cast(is_token, tf.int32), 1),
            "log_probability": log_probability,
            **self._texts(prompts, written, is_token),
        }
        return {name: value[:num_texts] for name, value in answers.items()}

    def _checks(self, prompts: Any, settings: Any) -> list[Any]:
        """Assertions about the inputs."""
        num_new, temperature = settings["max_new_tokens"], settings["temperature"]
        top_k, top_p = settings["top_k"], settings["top_p"]
        checks = [
            tf.debugging.Assert(num_new >= 1, ["max_new_tokens: expected at least 1, not", num_new]),
            tf.debugging.Assert(temperature >= 0, ["temperature: expected 0 or more, not", temperature]),
            tf.debugging.Assert(top_k >= 0, ["top_k: expected 0 (all tokens) or more, not", top_k]),
            tf.debugging.Assert((top_p > 0) & (top_p <= 1), ["top_p: expected above 0 and at most 1, not", top_p]),
        ]
        longest = self._stepper.longest
        if longest is not None:
            most = tf.cast(tf.reduce_max(prompts.row_lengths()), tf.int32)
            message = f"tokens of a text: expected at most {longest - 2}, not"
            checks.append(tf.debugging.Assert(most < longest - 1, [message, most]))
        else:
            message = f"max_new_tokens: expected at most {_MOST_NEW}, not"
            checks.append(tf.debugging.Assert(num_new <= _MOST_NEW, [message, num_new]))
        return checks

    def _write(self, lengths: Any, prompts: Any, settings: Any) -> tuple[Any, Any]:
        """New tokens int32 ``(b, n)``, -1 after the end, and their log-probability ``(b,)``."""
        num_new = settings["max_new_tokens"]
        lengths = tf.cast(lengths, tf.int32) + 1  # with the token that begins a text
        tokens, is_token = self._padded(prompts, lengths)  # (b, t)
        width = tf.shape(tokens)[1]
        if self._stepper.longest is not None:
            num_new = tf.minimum(num_new, self._stepper.longest - 1)  # all arrays have this size
        room = tf.fill(tf.shape(lengths), num_new)
        if self._stepper.longest is not None:
            # The last position is left to rows that have ended.
            room = tf.minimum(room, self._stepper.longest - lengths)
        state = self._stepper.begin_in_graph(tokens, is_token, num_new, room)
        seed = tf.stack([settings["seed"], 0])
        uniforms = tf.random.stateless_uniform([num_new], seed, dtype=tf.float64)
        choice = {name: settings[name] for name in ("temperature", "top_k", "top_p")}

        def continues(index: Any, tokens: Any, has_ended: Any, *_: Any) -> Any:  # noqa: ARG001
            return (index < num_new) & ~tf.reduce_all(has_ended)

        def step(index: Any, tokens: Any, has_ended: Any, written: Any, total: Any, state: Any) -> tuple[Any, ...]:
            logits, state = self._stepper.step(tokens, state, width - 1 + index)  # (b, v)
            tokens = served_choice(logits, uniform=uniforms[index], **choice)  # (b,)
            score = tf.gather(logits, tokens, batch_dims=1) - tf.reduce_logsumexp(logits, -1)  # (b,)
            total += tf.where(has_ended, 0.0, tf.cast(score, tf.float32))
            new = tf.where(has_ended, _NO_TOKEN, tokens)
            written = tf.where(tf.range(num_new) == index, new[:, tf.newaxis], written)
            has_ended |= (tokens == self._task.tokenizer.end_id) | (index + 1 >= room)
            return index + 1, tokens, has_ended, written, total, state

        first_values = (
            tf.constant(0),
            tokens[:, -1],
            tf.zeros_like(lengths, tf.bool),
            tf.fill([tf.shape(tokens)[0], num_new], _NO_TOKEN),
            tf.zeros_like(lengths, tf.float32),
            state,
        )
        _, _, _, written, total, _ = tf.while_loop(continues, step, first_values)
        return written, total

    def _padded(self, prompts: Any, lengths: Any) -> tuple[Any, Any]:
        """The prompts after the token that begins a text, padded at the start; and which are tokens. ``(b, t)``."""
        begin = tf.fill([prompts.nrows(), 1], self._task.begin_id)
        tokens = tf.concat([begin, prompts], 1).to_tensor()  # (b, t), padded at the end
        width = tf.shape(tokens)[1]
        columns = tf.range(width) - (width - lengths)[:, tf.newaxis]  # (b, t)
        return tf.gather(tokens, tf.maximum(columns, 0), batch_dims=1), columns >= 0

    def _texts(self, prompts: Any, written: Any, is_token: Any) -> dict[str, Any]:
        tokenizer = self._task.tokenizer
        if not tokenizer.has_graph:
            return {"generated_ids": tf.where(is_token, written, _NO_TOKEN)}
        # Some tokenizers separate words when they decode. So the whole text is decoded, and its beginning removed.
        whole = tokenizer.decode_in_graph(tf.concat([prompts, tf.ragged.boolean_mask(written, is_token)], 1))
        size = tf.strings.length(whole)
        begin = tf.minimum(tf.strings.length(tokenizer.decode_in_graph(prompts)), size)
        return {"generated": tf.strings.substr(whole, begin, size - begin)}
