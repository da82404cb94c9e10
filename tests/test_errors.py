"""Messages of foreign errors become one readable line."""

from collections.abc import Callable

import keras
import pytest
import tensorflow as tf

from tfdl.errors import UserError, first_line, in_one_line, named_cause, nearest


def test_the_first_line_has_no_terminal_codes_and_is_never_empty() -> None:
    error = ValueError("\n\x1b[1mInput 0 of layer dense\x1b[0m is wrong\nArguments received: ...")
    assert first_line(error) == "Input 0 of layer dense is wrong"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(SystemExit(3)) == "exit with code 3"
    assert first_line(SystemExit("no licence")) == "no licence"


def test_a_long_message_ends_between_words() -> None:
    line = in_one_line("\x1b[31mone\x1b[0m\n  two " + "three " * 100)
    assert line.startswith("one two three three")
    assert line.endswith(" three ...")
    assert len(line) <= 300
    assert in_one_line("short\nmessage") == "short message"


def test_a_cause_has_its_type() -> None:
    assert named_cause(ValueError("one\ntwo")) == "ValueError: one"
    assert named_cause(KeyError()) == "KeyError"


def test_the_cause_in_a_converted_function_is_named_with_its_type() -> None:
    @tf.function
    def refused(x: tf.Tensor) -> tf.Tensor:
        raise UserError(f"{x.dtype.name} is refused\nsecond line")

    @tf.function
    def outer(x: tf.Tensor) -> tf.Tensor:
        return refused(x)

    for function in (refused, outer):
        error = error_of(lambda function=function: function(tf.ones(3)))
        assert named_cause(error) == "UserError: float32 is refused"
        assert first_line(error) == "float32 is refused"


def test_the_cause_in_a_converted_function_without_a_message() -> None:
    @tf.function
    def failing(x: tf.Tensor) -> None:  # noqa: ARG001
        raise RuntimeError

    assert named_cause(error_of(lambda: failing(tf.ones(3)))) == "RuntimeError"


def test_the_cause_in_a_layer_is_not_the_place() -> None:
    class Failing(keras.layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:  # noqa: ARG002
            raise ValueError("no such\nthing")

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert first_line(error_of(lambda: model(tf.ones((4, 5))))).startswith("Input 0 with name 'None' of layer 'dense")
    assert named_cause(error_of(lambda: Failing()(keras.Input((3,))))) == "ValueError: no such"
    assert named_cause(error_of(lambda: Failing()(tf.ones((4, 5))))) == "ValueError: no such"


def test_the_cause_in_a_graph_is_its_last_line_that_is_no_place() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    line = named_cause(error_of(lambda: model.fit(tf.ones((4, 3)), tf.fill([4], 9), verbose=0)))
    assert line.startswith(
        "InvalidArgumentError: Received a label value of 9 which is outside the valid range of [0, 4)"
    )


def error_of(function: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function()
    return caught.value


@pytest.mark.parametrize(
    ("received", "suggestion"),
    [
        ("digts", " Did you mean 'digits'?"),
        ("CNN", " Did you mean 'cnn'?"),
        ("cifar", " Did you mean 'CIFAR10'?"),
        ("lstm", " Did you mean 'lstm-small'?"),
        ("LSTM", " Did you mean 'lstm-small'?"),
        ("val", " Did you mean 'validation'?"),
        ("l", ""),
        ("tests", ""),
    ],
)
def test_the_nearest_name_is_suggested_in_any_case_and_by_its_beginning(received, suggestion) -> None:
    known = ["cnn", "digits", "CIFAR10", "lstm-small", "lstm-large", "validation"]
    assert nearest(received, known) == suggestion
