r"""The time loops of recurrent layers, with backward passes of their own.

A loop whose gradient TensorFlow derives adds up the weights' gradient step by step, and keeps and looks up every little
tensor on the way. These loops keep a few whole sequences, go back through them once, and take the recurrent kernel's
gradient as one product over all steps: $\sum_t h_{t-1}^\top\, dz_t$. On the way back they multiply by the transposed
kernel, made once: a product told to transpose would do so at every step, which at 650 units costs a third of the pass.

Everything is time-major: ``(T, B, ...)``. $G$ is the number of gates, $U$ the units. ``mask`` multiplies the state that
the recurrent kernel sees, the same at every step (variational dropout); ``None`` is none.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfdl.layers.bias import bias_gradient


def lstm_loop(projected: Any, kernel: Any, h0: Any, c0: Any, mask: Any = None) -> tuple[Any, Any, Any]:
    r"""$(i, f, g, o) = z_t$, $\;c_t = \sigma(f) c_{t-1} + \sigma(i) \tanh(g)$, $\;h_t = \sigma(o) \tanh(c_t)$.

    Args:
        projected: ``(T, B, 4U)``, $x_t W + b$ of all steps.
        kernel: ``(U, 4U)``; $z_t$ is a projected input plus $h_{t-1}$ times it.
        h0, c0: ``(B, U)``.
        mask: ``(B, U)`` or none.

    Returns:
        All $h_t$ ``(T, B, U)``, and the last $h$ and $c$.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def run(projected: Any, kernel: Any, h0: Any, c0: Any) -> Any:
        def forward(t: Any, h: Any, c: Any) -> tuple[Any, ...]:
            i, f, g, o = tf.split(projected[t] + tf.matmul(_masked(h, mask), kernel), 4, axis=-1)  # (B, U) each
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
            c = f * c + i * g
            h = o * tf.tanh(c)
            return (h, c), (h, c, tf.concat([i, f, g, o], -1))

        (h, c), (hs, cs, gates) = _scan(forward, (h0, c0), projected, (units, units, 4 * units))

        def backward(dhs: Any, dh_last: Any, dc_last: Any) -> tuple[Any, ...]:
            i, f, g, o = tf.split(gates, 4, axis=-1)  # (T, B, U) each
            transposed = tf.transpose(kernel)  # (4U, U)
            squashed = tf.tanh(cs)
            before = _shifted(cs, c0)
            through_c = o * (1 - squashed * squashed)
            of_gates = (g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o))
            slopes = tf.concat(of_gates, -1)  # (T, B, 4U)

            def step(t: Any, dh: Any, dc: Any) -> tuple[Any, ...]:
                dh = dh + dhs[t]
                dc = dc + dh * through_c[t]
                # Joined before they are multiplied: with the slope of o apart, XLA was seen to get this wrong
                # (float64, B = 4, U = 5).
                dz = tf.concat([dc, dc, dc, dh], -1) * slopes[t]  # (B, 4U)
                return (_masked(tf.matmul(dz, transposed), mask), dc * f[t]), (dz,)

            (dh, dc), (dz,) = _scan(step, (dh_last, dc_last), projected, (4 * units,), back=True)
            return dz, _kernel_gradient(_masked(_shifted(hs, h0), mask), dz), dh, dc

        return (hs, h, c), backward

    result: tuple[Any, Any, Any] = run(projected, kernel, h0, c0)
    return result


def gru_loop(projected: Any, kernel: Any, bias: Any, h0: Any, mask: Any = None) -> tuple[Any, Any]:
    r"""$z, r$ gates, and $\tilde h = \tanh(x_h + r\,(h_{t-1} R_h + b_h))$, $\;h_t = z h_{t-1} + (1 - z) \tilde h$.

    Args:
        projected: ``(T, B, 3U)``, $x_t W + b$ of all steps, in the order $z, r, h$.
        kernel: ``(U, 3U)``.
        bias: ``(3U,)``, of the recurrent product.
        h0: ``(B, U)``.
        mask: ``(B, U)`` or none.

    Returns:
        All $h_t$ ``(T, B, U)``, and the last one.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def run(projected: Any, kernel: Any, bias: Any, h0: Any) -> Any:
        def forward(t: Any, h: Any) -> tuple[Any, ...]:
            # The step's inputs whole, then in pieces: XLA answers a slice of both at once with other columns.
            of_inputs, of_candidate = tf.split(projected[t], [2 * units, units], axis=-1)
            inner = tf.matmul(_masked(h, mask), kernel) + bias  # (B, 3U)
            inner_gates, recurrent = tf.split(inner, [2 * units, units], axis=-1)
            gates = tf.sigmoid(of_inputs + inner_gates)
            z, r = tf.split(gates, 2, axis=-1)
            candidate = tf.tanh(of_candidate + r * recurrent)
            new = z * h + (1 - z) * candidate
            return (new,), (new, tf.concat([gates, candidate, recurrent], -1))

        (h,), (hs, kept) = _scan(forward, (h0,), projected, (units, 4 * units))

        def backward(dhs: Any, dh_last: Any) -> tuple[Any, ...]:
            z, r, candidate, recurrent = tf.split(kept, 4, axis=-1)  # (T, B, U) each
            transposed = tf.transpose(kernel)  # (3U, U)
            before = _shifted(hs, h0)
            slope_z = (before - candidate) * z * (1 - z)
            slope_h = (1 - z) * (1 - candidate * candidate)
            slope_r = slope_h * recurrent * r * (1 - r)

            def step(t: Any, dh: Any) -> tuple[Any, ...]:
                dh = dh + dhs[t]
                dx = tf.concat([dh * slope_z[t], dh * slope_r[t], dh * slope_h[t]], -1)  # (B, 3U)
                inner = tf.concat([dx[:, : 2 * units], dx[:, 2 * units :] * r[t]], -1)
                return (dh * z[t] + _masked(tf.matmul(inner, transposed), mask),), (dx, inner)

            (dh,), (dx, inner) = _scan(step, (dh_last,), projected, (3 * units, 3 * units), back=True)
            return dx, _kernel_gradient(_masked(before, mask), inner), bias_gradient(inner), dh

        return (hs, h), backward

    result: tuple[Any, Any] = run(projected, kernel, bias, h0)
    return result


def simple_loop(projected: Any, kernel: Any, h0: Any, mask: Any = None) -> tuple[Any, Any]:
    r"""$h_t = \tanh(z_t)$ with $z_t$ a projected input plus $h_{t-1}$ times the kernel.

    Args:
        projected: ``(T, B, U)``, $x_t W + b$ of all steps.
        kernel: ``(U, U)``.
        h0: ``(B, U)``.
        mask: ``(B, U)`` or none.

    Returns:
        All $h_t$ ``(T, B, U)``, and the last one.
    """
    units = kernel.shape[0]

    @tf.custom_gradient
    def run(projected: Any, kernel: Any, h0: Any) -> Any:
        def forward(t: Any, h: Any) -> tuple[Any, ...]:
            h = tf.tanh(projected[t] + tf.matmul(_masked(h, mask), kernel))
            return (h,), (h,)

        (h,), (hs,) = _scan(forward, (h0,), projected, (units,))

        def backward(dhs: Any, dh_last: Any) -> tuple[Any, ...]:
            slopes = 1 - hs * hs
            transposed = tf.transpose(kernel)

            def step(t: Any, dh: Any) -> tuple[Any, ...]:
                dz = (dh + dhs[t]) * slopes[t]
                return (_masked(tf.matmul(dz, transposed), mask),), (dz,)

            (dh,), (dz,) = _scan(step, (dh_last,), projected, (units,), back=True)
            return dz, _kernel_gradient(_masked(_shifted(hs, h0), mask), dz), dh

        return (hs, h), backward

    result: tuple[Any, Any] = run(projected, kernel, h0)
    return result


def _scan(
    step: Callable[..., Any], state: tuple[Any, ...], like: Any, widths: tuple[int, ...], back: bool = False
) -> tuple[Any, Any]:
    """Runs ``step(t, *state) -> (state, outputs)`` over time, or back through it; outputs come stacked by ``t``.

    ``like`` is any ``(T, B, ...)`` sequence; ``widths`` are the outputs' last axes. The counter rises in both
    directions, so that the number of turns can be read off the graph.
    """
    length = tf.shape(like)[0] if like.shape[0] is None else like.shape[0]
    arrays = tuple(tf.TensorArray(like.dtype, length, element_shape=(like.shape[1], width)) for width in widths)

    def body(turn: Any, state: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        t = length - 1 - turn if back else turn
        state, outputs = step(t, *state)
        return turn + 1, state, tuple(array.write(t, value) for array, value in zip(arrays, outputs, strict=True))

    _, state, arrays = tf.while_loop(lambda turn, *_: turn < length, body, (0, state, arrays))
    return state, tuple(array.stack() for array in arrays)


def _masked(h: Any, mask: Any) -> Any:
    return h if mask is None else h * mask


def _shifted(sequence: Any, first: Any) -> Any:
    """The state before each step."""
    return tf.concat([first[tf.newaxis], sequence[:-1]], 0)


def _kernel_gradient(states: Any, dz: Any) -> Any:
    """Over all steps and samples at once: (U, T B) times (T B, G U)."""
    return tf.matmul(tf.reshape(states, [-1, states.shape[-1]]), tf.reshape(dz, [-1, dz.shape[-1]]), transpose_a=True)
