"""FLOPs and kept activations, against values computed by hand and TensorFlow's profiler."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.errors import RunError
from tfdl.inspection import step_cost
from tfdl.inspection.flops import count_flops
from tfdl.models.shapes_only import shapes_only


def graph_of(function, *specs):
    return tf.function(function).get_concrete_function(*specs).graph


def flops_of(function, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return count_flops(graph_of(function, *specs).get_operations())


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (tf.matmul, [(3, 5), (5, 7)], 2 * 3 * 5 * 7),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), [(5, 3), (5, 7)], 2 * 3 * 5 * 7),
        (lambda a, b: tf.matmul(a, b, transpose_b=True), [(2, 4, 3, 5), (2, 4, 7, 5)], 2 * 4 * 2 * 3 * 5 * 7),
        (lambda a, b: tf.einsum("bij,bjk->bik", a, b), [(2, 3, 5), (2, 5, 7)], 2 * 2 * 3 * 5 * 7),
        (lambda a, b: tf.raw_ops.Einsum(inputs=[a, b], equation="...i,ij->...j"), [(2, 3, 5), (5, 7)], 420),
        (lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), [(2, 8, 6, 3), (3, 3, 3, 4)], 2 * (2 * 8 * 6 * 4) * 27),
        (lambda x, w: tf.nn.conv2d(x, w, 2, "VALID"), [(1, 9, 9, 1), (3, 3, 1, 2)], 2 * (4 * 4 * 2) * 9),
        (lambda a, b: a + b, [(3, 3), (3, 3)], 0),
    ],
)
def test_one_operation(function, shapes, expected):
    assert flops_of(function, *shapes) == expected


def test_a_loop_counts_each_of_its_iterations():
    def repeated(a, b):
        for _ in tf.range(6):
            a = tf.matmul(a, b)
        return a

    assert flops_of(repeated, (3, 5), (5, 5)) == 6 * 2 * 3 * 5 * 5


def test_a_called_function_counts():
    inner = tf.function(tf.matmul)
    assert flops_of(lambda a, b: inner(a, b) + inner(a, b), (3, 5), (5, 7)) == 2 * 210


def test_a_loop_without_a_known_end():
    def endless(a):
        while tf.reduce_sum(a) < 100.0:
            a = tf.matmul(a, a)
        return a

    with pytest.raises(RunError, match=r"cannot count: the number of iterations of the loop .* is not in the graph"):
        flops_of(endless, (3, 3))


def test_an_unknown_shape():
    with pytest.raises(RunError, match=r"cannot count: .* has the unknown shape \(None, 3\)"):
        flops_of(tf.matmul, (None, 3), (3, 3))


def two_layers():
    """A model from 8 values over 5 hidden units to 3 outputs, without biases."""
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(5, activation="relu", use_bias=False)(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(hidden))


def test_a_step_by_hand():
    batch = 2
    cost = step_cost(two_layers(), [tf.TensorSpec((batch, 8))])
    first = 2 * batch * 8 * 5
    second = 2 * batch * 5 * 3
    assert cost.forward_flops == first + second
    # Backward: the second layer to its weights and its inputs, the first layer only to its weights.
    assert cost.training_flops == first + second + (2 * second + first)


def test_the_backward_pass_keeps_inputs_and_what_relu_let_through():
    cost = step_cost(two_layers(), [tf.TensorSpec((2, 8))])
    # Bytes: a batch of 2, values of 4 bytes.
    inputs = 2 * 8 * 4
    hidden = 2 * 5 * 4
    outputs = 2 * 3 * 4
    assert cost.activation_bytes in (inputs + hidden, inputs + hidden + outputs)


def test_activations_grow_with_the_batch_and_weights_do_not_count():
    small = step_cost(two_layers(), [tf.TensorSpec((2, 8))])
    large = step_cost(two_layers(), [tf.TensorSpec((200, 8))])
    assert large.activation_bytes == 100 * small.activation_bytes


def test_the_article_s_network_takes_19_7_megaflop_an_image():
    model = tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10)
    conv_1 = 2 * 24 * 24 * 32 * (3 * 3 * 3)
    conv_2 = 2 * 12 * 12 * 64 * (3 * 3 * 32)
    hidden = 2 * 2304 * 128
    logits = 2 * 128 * 10
    forward = conv_1 + conv_2 + hidden + logits
    cost = step_cost(model, [tf.TensorSpec((4, 24, 24, 3))])
    assert cost.forward_flops == 4 * forward
    # The backward pass takes twice as many, except for the gradient of the images, which nobody needs.
    assert cost.training_flops == 4 * (3 * forward - conv_1)
    assert cost.training_flops / 4 == pytest.approx(19.7e6, rel=0.001)


def test_tensorflow_s_profiler_counts_the_same():
    model = tfdl.build_model("cnn", input_shape=(24, 24, 3), num_classes=10, batch_normalization=False)
    graph = graph_of(lambda images: model(images), tf.TensorSpec((4, 24, 24, 3)))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    counted = tf.compat.v1.profiler.profile(graph, options=options).total_float_ops
    biases_and_pools = counted - step_cost(model, [tf.TensorSpec((4, 24, 24, 3))]).forward_flops
    assert 0 <= biases_and_pools < 0.05 * counted


def test_a_model_of_shapes_only_costs_the_same_and_has_no_values():
    arguments = {"input_shape": (24, 24, 3), "num_classes": 10}
    with shapes_only():
        model = tfdl.build_model("cnn", **arguments)
        cost = step_cost(model, [tf.TensorSpec((4, 24, 24, 3))])
    assert cost == step_cost(tfdl.build_model("cnn", **arguments), [tf.TensorSpec((4, 24, 24, 3))])
    assert all(variable._value is None for variable in model.weights)


def test_models_built_afterwards_have_values_and_do_not_make_those_of_shapes_only():
    with shapes_only():
        empty = two_layers()
    built = two_layers()
    assert np.isfinite(np.asarray(built(np.ones((1, 8), "float32")))).all()
    assert all(variable._value is None for variable in empty.weights)
