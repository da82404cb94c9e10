"""At which steps the ranks' state is compared, and the treatment of statistics that each rank keeps for itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import SingleWorld
from tfdl.distributed.sync_proof import SyncProof
from tfdl.errors import RunError


def small_model():
    """A synchronized normalization, and one that each rank keeps for itself."""
    from tfdl.layers import BatchNormalization

    return keras.Sequential(
        [
            keras.Input((3,)),
            BatchNormalization(synchronized=True),
            keras.layers.BatchNormalization(name="local"),
            keras.layers.Dense(2),
        ]
    )


def steps_compared(world, every, begin, end, portion=20):
    """The steps at which ``SyncProof`` compares in a loop that runs some steps at a time, as ``Fit`` does.

    Args:
        world: The ranks.
        every: The steps between two comparisons.
        begin: The step from which the run begins or resumes.
        end: The last step.
        portion: The most steps at a time.
    """
    compared = []
    proof = SyncProof.of_training(small_model(), [], world, every, begin)
    proof.compare = compared.append
    step = begin
    while step < end:
        step += min(portion, end - step, proof.steps_until_due(step))
        proof.after_steps(step)
    return compared


@pytest.mark.parametrize(
    ("every", "begin", "end", "expected"),
    [
        (200, 0, 450, [1, 200, 400]),
        (200, 230, 450, [231, 400]),  # a resumed run
        (7, 0, 22, [1, 7, 14, 21]),
        (1, 0, 3, [1, 2, 3]),
        (0, 0, 450, []),
    ],
)
def test_the_first_step_and_multiples_of_the_interval_are_compared(ranks, every, begin, end, expected):
    assert steps_compared(ranks(2), every, begin, end) == expected


def test_one_rank_compares_nothing():
    assert steps_compared(SingleWorld(), 200, 0, 450) == []


def test_local_statistics_are_averaged_before_results_and_not_compared(ranks):
    world = ranks(2)
    keras.utils.set_random_seed(0)
    models = [small_model(), small_model()]
    models[1].set_weights(models[0].get_weights())
    layers = [model.get_layer("local") for model in models]
    for rank, layer in enumerate(layers):
        layer.moving_mean.assign([rank + 1.0] * 3)
    others = [variable for variable in models[0].weights if "local" not in variable.path]
    assert len(others) == 6

    world.run(lambda rank: SyncProof.of_training(models[rank], [], world, 200).before_results(5))
    for layer in layers:
        assert np.asarray(layer.moving_mean).tolist() == [1.5] * 3


def test_synchronized_statistics_are_compared(ranks):
    world = ranks(2)
    models = [small_model(), small_model()]
    models[1].set_weights(models[0].get_weights())
    models[1].layers[0].moving_variance.assign([1.0, 1.0, 1.0 + 2**-23])

    def prove(rank):
        with pytest.raises(RunError, match=r"at step 5, rank 1 differs from rank 0 in \S*moving_variance: "):
            SyncProof.of_training(models[rank], [], world, 200).before_results(5)

    world.run(prove)


class Counting(keras.layers.Layer):
    """Keeps a number beside its weights."""

    def build(self, input_shape):  # noqa: ARG002
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        return inputs


def test_what_a_layer_changes_itself_is_compared_and_named(ranks):
    world = ranks(2)
    models = [keras.Sequential([keras.Input((3,)), Counting(name="mine"), keras.layers.Dense(1)]) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    world.run(lambda rank: SyncProof.of_training(models[rank], [], world, 200).compare(1))
    models[1].get_layer("mine").count.assign(1.0)
    with pytest.raises(RunError, match=r"rank 1 differs from rank 0 in .*mine/count: .* in the layer's call"):
        world.run(lambda rank: SyncProof.of_training(models[rank], [], world, 200).compare(2))


def test_the_end_is_compared_although_its_step_is_proven(ranks):
    """A callback may change weights after the last step."""
    world = ranks(2)
    variables = [[tf.Variable(1.0, name="v")], [tf.Variable(1.0, name="v")]]

    def on_rank(rank):
        proof = SyncProof(lambda: variables[rank], world, 200)
        proof.compare(7)
        variables[rank][0].assign(1.0 + rank)
        proof.compare(7)
        with pytest.raises(RunError, match="at step 7, rank 1 differs from rank 0 in v"):
            proof.compare(7, again=True)

    world.run(on_rank)
