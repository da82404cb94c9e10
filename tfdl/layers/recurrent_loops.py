r"""The loops over time of the recurrent layers, with their backward passes written out.

When TensorFlow derives the gradient of a loop, it sums the gradient of the weights step by step, and stores and reads
every small tensor of each step. These loops store a few whole sequences and go back through them once. The gradient of
the recurrent kernel is one product over all steps: $\sum_t h_{t-1}^\top\, dz_t$. The backward pass multiplies by a
transposed kernel that is made once. A product with ``transpose_b`` would transpose at every step, which takes a third
of the pass at 650 units.

All sequences are time-major: ``(time, batch, ...)``. ``mask`` multiplies the state in the recurrent
product and is the same at every step (variational dropout); ``None`` means no dropout. ``d_x`` is the gradient of the
loss with respect to ``x``.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.layers.bias import bias_gradient


def lstm_loop(projected: Any, kernel: Any, h0: Any, c0: Any, mask: Any = None) -> tuple[Any, Any, Any]:
    r"""$(i, f, g, o) = z_t$, $\;c_t = \sigma(f) c_{t-1} + \sigma(i) \tanh(g)$, $\;h_t = \sigma(o) \tanh(c_t)$.

    Args:
        projected: ``(time, batch, 4 * units)``, $x_t W + b$ of all steps.
        kernel: ``(units, 4 * units)``; $z_t$ is the projected input plus the product of $h_{t-1}$ and the kernel.
        h0, c0: initial state, ``(batch, units)`` each.
        mask: ``(batch, units)`` or None.

    Returns:
        All $h_t$ ``(time, batch, units)``, and the last $h$ and $c$.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def run(projected: Any, kernel: Any, h0: Any, c0: Any) -> Any:
        def forward_step(t: Any, h: Any, c: Any) -> tuple[Any, ...]:
            z = projected[t] + tf.matmul(_apply_mask(h, mask), kernel)  # (batch, 4 * units)
            i, f, g, o = tf.split(z, 4, axis=-1)  # (batch, units) each
            i = tf.sigmoid(i)
            f = tf.sigmoid(f)
            g = tf.tanh(g)
            o = tf.sigmoid(o)
            c = f * c + i * g
            h = o * tf.tanh(c)
            return (h, c), (h, c, tf.concat([i, f, g, o], -1))

        (h, c), (hs, cs, gates) = _scan(forward_step, (h0, c0), projected, (units, units, 4 * units))

        def backward(d_hs: Any, d_h_last: Any, d_c_last: Any) -> tuple[Any, ...]:
            i, f, g, o = tf.split(gates, 4, axis=-1)  # (time, batch, units) each
            transposed_kernel = tf.transpose(kernel)  # (4 * units, units)
            tanh_cs = tf.tanh(cs)
            previous_cs = _previous(cs, c0)
            c_slope = o * (1 - tanh_cs * tanh_cs)
            i_slope = g * i * (1 - i)
            f_slope = previous_cs * f * (1 - f)
            g_slope = i * (1 - g * g)
            o_slope = tanh_cs * o * (1 - o)
            slopes = tf.concat((i_slope, f_slope, g_slope, o_slope), -1)  # (time, batch, 4 * units)

            def backward_step(t: Any, d_h: Any, d_c: Any) -> tuple[Any, ...]:
                d_h = d_h + d_hs[t]
                d_c = d_c + d_h * c_slope[t]
                # The gates are joined before the multiplication: with the slope of o kept separate, XLA was measured to
                # return wrong gradients (float64, batch 4, 5 units).
                d_z = tf.concat([d_c, d_c, d_c, d_h], -1) * slopes[t]  # (batch, 4 * units)
                d_h = _apply_mask(tf.matmul(d_z, transposed_kernel), mask)  # (batch, units)
                return (d_h, d_c * f[t]), (d_z,)

            (d_h0, d_c0), (d_zs,) = _scan(backward_step, (d_h_last, d_c_last), projected, (4 * units,), reverse=True)
            d_kernel = _kernel_gradient(_apply_mask(_previous(hs, h0), mask), d_zs)
            return d_zs, d_kernel, d_h0, d_c0

        return (hs, h, c), backward

    result: tuple[Any, Any, Any] = run(projected, kernel, h0, c0)
    return result


def gru_loop(projected: Any, kernel: Any, bias: Any, h0: Any, mask: Any = None) -> tuple[Any, Any]:
    r"""$z, r$ gates, and $\tilde h = \tanh(x_h + r\,(h_{t-1} R_h + b_h))$, $\;h_t = z h_{t-1} + (1 - z) \tilde h$.

    Args:
        projected: ``(time, batch, 3 * units)``, $x_t W + b$ of all steps, in the order $z, r, h$.
        kernel: ``(units, 3 * units)``.
        bias: ``(3 * units,)``, of the recurrent product.
        h0: initial state, ``(batch, units)``.
        mask: ``(batch, units)`` or None.

    Returns:
        All $h_t$ ``(time, batch, units)``, and the last $h$.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def run(projected: Any, kernel: Any, bias: Any, h0: Any) -> Any:
        def forward_step(t: Any, h: Any) -> tuple[Any, ...]:
            # Index the step first, then split it: XLA returns wrong columns for a slice that does both at once.
            x_gates, x_candidate = tf.split(projected[t], [2 * units, units], axis=-1)
            product = tf.matmul(_apply_mask(h, mask), kernel) + bias  # (batch, 3 * units)
            h_gates, h_candidate = tf.split(product, [2 * units, units], axis=-1)
            gates = tf.sigmoid(x_gates + h_gates)  # (batch, 2 * units)
            z, r = tf.split(gates, 2, axis=-1)  # (batch, units) each
            candidate = tf.tanh(x_candidate + r * h_candidate)
            new_h = z * h + (1 - z) * candidate
            return (new_h,), (new_h, tf.concat([gates, candidate, h_candidate], -1))

        (h,), (hs, stored) = _scan(forward_step, (h0,), projected, (units, 4 * units))

        def backward(d_hs: Any, d_h_last: Any) -> tuple[Any, ...]:
            z, r, candidate, h_candidate = tf.split(stored, 4, axis=-1)  # (time, batch, units) each
            transposed_kernel = tf.transpose(kernel)  # (3 * units, units)
            previous_hs = _previous(hs, h0)
            z_slope = (previous_hs - candidate) * z * (1 - z)
            candidate_slope = (1 - z) * (1 - candidate * candidate)
            r_slope = candidate_slope * h_candidate * r * (1 - r)

            def backward_step(t: Any, d_h: Any) -> tuple[Any, ...]:
                d_h = d_h + d_hs[t]
                # (batch, 3 * units)
                d_x = tf.concat([d_h * z_slope[t], d_h * r_slope[t], d_h * candidate_slope[t]], -1)
                d_product = tf.concat([d_x[:, : 2 * units], d_x[:, 2 * units :] * r[t]], -1)  # (batch, 3 * units)
                d_h = d_h * z[t] + _apply_mask(tf.matmul(d_product, transposed_kernel), mask)  # (batch, units)
                return (d_h,), (d_x, d_product)

            (d_h0,), (d_xs, d_products) = _scan(
                backward_step, (d_h_last,), projected, (3 * units, 3 * units), reverse=True
            )
            d_kernel = _kernel_gradient(_apply_mask(previous_hs, mask), d_products)
            return d_xs, d_kernel, bias_gradient(d_products), d_h0

        return (hs, h), backward

    result: tuple[Any, Any] = run(projected, kernel, bias, h0)
    return result


def simple_loop(projected: Any, kernel: Any, h0: Any, mask: Any = None) -> tuple[Any, Any]:
    r"""$h_t = \tanh(z_t)$, where $z_t$ is the projected input plus the product of $h_{t-1}$ and the kernel.

    Args:
        projected: ``(time, batch, units)``, $x_t W + b$ of all steps.
        kernel: ``(units, units)``.
        h0: initial state, ``(batch, units)``.
        mask: ``(batch, units)`` or None.

    Returns:
        All $h_t$ ``(time, batch, units)``, and the last $h$.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def run(projected: Any, kernel: Any, h0: Any) -> Any:
        def forward_step(t: Any, h: Any) -> tuple[Any, ...]:
            h = tf.tanh(projected[t] + tf.matmul(_apply_mask(h, mask), kernel))  # (batch, units)
            return (h,), (h,)

        (h,), (hs,) = _scan(forward_step, (h0,), projected, (units,))

        def backward(d_hs: Any, d_h_last: Any) -> tuple[Any, ...]:
            slopes = 1 - hs * hs  # (time, batch, units)
            transposed_kernel = tf.transpose(kernel)  # (units, units)

            def backward_step(t: Any, d_h: Any) -> tuple[Any, ...]:
                d_z = (d_h + d_hs[t]) * slopes[t]  # (batch, units)
                d_h = _apply_mask(tf.matmul(d_z, transposed_kernel), mask)  # (batch, units)
                return (d_h,), (d_z,)

            (d_h0,), (d_zs,) = _scan(backward_step, (d_h_last,), projected, (units,), reverse=True)
            d_kernel = _kernel_gradient(_apply_mask(_previous(hs, h0), mask), d_zs)
            return d_zs, d_kernel, d_h0

        return (hs, h), backward

    result: tuple[Any, Any] = run(projected, kernel, h0)
    return result


def _scan(
    step: Callable[..., Any],
    state: tuple[Any, ...],
    sequence: Any,
    output_widths: tuple[int, ...],
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Runs ``step(t, *state) -> (state, outputs)`` for every ``t``.

    Args:
        step: one step.
        state: the initial state.
        sequence: any ``(time, batch, ...)`` tensor, for the number of steps, the batch size and the dtype.
        output_widths: size of the last axis of each output.
        reverse: whether to run from the last step to the first.

    Returns:
        The last state, and the outputs of all steps, ``(time, batch, width)`` each, ordered by ``t``.
    """
    length = tf.shape(sequence)[0] if sequence.shape[0] is None else sequence.shape[0]
    arrays = tuple(
        tf.TensorArray(sequence.dtype, length, element_shape=(sequence.shape[1], width)) for width in output_widths
    )

    # The counter rises in both directions, so tfdl.inspection can read the number of iterations from the graph.
    def condition(counter: Any, *_: Any) -> Any:
        return counter < length

    def body(counter: Any, state: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        t = length - 1 - counter if reverse else counter
        state, outputs = step(t, *state)
        arrays = tuple(array.write(t, output) for array, output in zip(arrays, outputs, strict=True))
        return counter + 1, state, arrays

    _, state, arrays = tf.while_loop(condition, body, (0, state, arrays))
    return state, tuple(array.stack() for array in arrays)


def _apply_mask(h: Any, mask: Any) -> Any:
    return h if mask is None else h * mask


def _previous(sequence: Any, first: Any) -> Any:
    """The state before each step, (time, batch, units), of the states after each step and the initial one."""
    return tf.concat([first[tf.newaxis], sequence[:-1]], 0)


def _kernel_gradient(states: Any, d_zs: Any) -> Any:
    """The gradient over all steps and samples: (units, time * batch) times (time * batch, gates * units)."""
    states = tf.reshape(states, [-1, states.shape[-1]])  # (time * batch, units)
    d_zs = tf.reshape(d_zs, [-1, d_zs.shape[-1]])  # (time * batch, gates * units)
    return tf.matmul(states, d_zs, transpose_a=True)  # (units, gates * units)
