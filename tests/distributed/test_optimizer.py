"""``DistributedOptimizer``, buckets and fingerprints, with ranks as threads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import DistributedOptimizer, SingleWorld
from tfdl.distributed.buckets import sum_over_ranks
from tfdl.distributed.fingerprints import Fingerprints
from tfdl.distributed.optimizer import is_distributed, undo
from tfdl.errors import RunError, UserError
from tfdl.optimizers import Adam

OPTIMIZERS = [
    lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.5),
    lambda: keras.optimizers.AdamW(0.01, clipnorm=0.5),
    lambda: keras.optimizers.RMSprop(0.01, gradient_accumulation_steps=2),
    lambda: Adam(0.01, global_clipnorm=0.5),
]


def variables():
    random = np.random.default_rng(0)
    return [keras.Variable(random.normal(size=shape), dtype="float32") for shape in [(4, 3), (3,)]]


def gradients(rank, step):
    random = np.random.default_rng(100 * step + rank)
    return [tf.constant(random.normal(size=shape), tf.float32) for shape in [(4, 3), (3,)]]


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_every_rank_steps_with_the_mean(ranks, make):
    world = ranks(3)
    mine = [variables() for _ in range(3)]
    optimizers = [DistributedOptimizer(make()) for _ in range(3)]
    for optimizer, owned in zip(optimizers, mine, strict=True):
        optimizer.build(owned)

    def run(rank):
        for step in range(6):
            optimizers[rank].apply(gradients(rank, step), mine[rank])

    world.run(run)
    alone, plain = variables(), make()
    plain.build(alone)
    for step in range(6):
        parts = [gradients(rank, step) for rank in range(3)]
        plain.apply([tf.add_n(list(group)) / 3 for group in zip(*parts, strict=True)], alone)
    for rank in range(3):
        for found, other, expected in zip(mine[rank], mine[0], alone, strict=True):
            np.testing.assert_array_equal(found, other)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse_as_dense", [True, False])
def test_rows_of_an_embedding(ranks, sparse_as_dense):
    world = ranks(2)
    tables = [keras.Variable(np.ones((5, 2), "float32")) for _ in range(2)]
    optimizers = [DistributedOptimizer(keras.optimizers.SGD(1.0), sparse_as_dense=sparse_as_dense) for _ in range(2)]
    rows = [[0, 3], [3, 3]]
    for optimizer, table in zip(optimizers, tables, strict=True):
        optimizer.build([table])
    world.run(
        lambda rank: optimizers[rank].apply([tf.IndexedSlices(tf.ones([2, 2]), rows[rank], [5, 2])], [tables[rank]])
    )
    for table in tables:
        np.testing.assert_allclose(np.asarray(table)[:, 0], [0.5, 1, 1, -0.5, 1])


@pytest.mark.parametrize("compression", ["float16", "bfloat16"])
def test_compression_rounds_and_keeps_the_dtype(ranks, compression):
    world = ranks(2)
    tensor = tf.constant([1.0, 1 / 3, 1e-3])
    sums = world.run(lambda _: sum_over_ranks([tensor], world, wire_dtype=compression)[0])
    assert sums[0].dtype == tf.float32
    np.testing.assert_allclose(sums[0], 2 * tensor, rtol=0.01)
    assert (np.asarray(sums[0]) != np.asarray(2 * tensor)).any()


def test_buckets_hold_tensors_of_one_dtype_from_the_last_to_the_first(ranks, monkeypatch):
    world = ranks(2)
    sent = []
    plain = world.all_reduce
    monkeypatch.setattr(
        world, "all_reduce", lambda t: (sent.append(t.shape[0]) if world.rank == 0 else None, plain(t))[1]
    )
    tensors = [tf.fill([size], float(size)) for size in (1, 2, 3, 4)] + [tf.fill([5], tf.constant(5.0, tf.float64))]
    sums = world.run(lambda _: sum_over_ranks(tensors, world, bucket_bytes=24))[1]
    assert sent == [5, 4, 6]
    for total, tensor in zip(sums, tensors, strict=True):
        assert total.dtype == tensor.dtype
        np.testing.assert_array_equal(total, 2 * tensor)


def test_shapes_that_a_graph_does_not_know_are_no_obstacle():
    class Twins(SingleWorld):
        """Two ranks that always hold the same."""

        size = 2

        def all_reduce(self, tensor):
            return 2 * tensor

    @tf.function(input_signature=[tf.TensorSpec([3]), tf.TensorSpec([None, None]), tf.TensorSpec([])])
    def doubled(*tensors):
        return sum_over_ranks(tensors, Twins())

    tensors = [tf.constant([1.0, 2.0, 3.0]), tf.reshape(tf.range(10.0), [2, 5]), tf.constant(7.0)]
    for total, tensor in zip(doubled(*tensors), tensors, strict=True):
        np.testing.assert_array_equal(total, 2 * tensor)


def test_alone_nothing_changes():
    optimizer = DistributedOptimizer(keras.optimizers.SGD(0.5))
    variable = keras.Variable([1.0])
    optimizer.apply([tf.constant([1.0])], [variable])
    assert float(variable[0]) == 0.5


def test_it_is_the_optimizer_itself_and_saved_as_what_it_was(tmp_path):
    plain = keras.optimizers.Adam(0.25, beta_1=0.5, name="adam")
    optimizer = DistributedOptimizer(plain)
    assert optimizer is plain
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert is_distributed(optimizer)
    assert optimizer.get_config() == keras.optimizers.Adam(0.25, beta_1=0.5, name="adam").get_config()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert type(again) is keras.optimizers.Adam
    assert float(again.learning_rate) == 0.25
    np.testing.assert_array_equal(again.variables[2], optimizer.variables[2])
    optimizer.learning_rate = 0.125
    assert float(optimizer.learning_rate) == 0.125
    assert type(undo(optimizer)) is keras.optimizers.Adam


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adam",), "DistributedOptimizer got str, expected a Keras 3 optimizer such as"),
        ((keras.optimizers.SGD(), "int8"), "compression='int8', expected one of none, float16, bfloat16"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(UserError, match=message):
        DistributedOptimizer(arguments[0], **({"compression": arguments[1]} if len(arguments) > 1 else {}))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32", "uint8", "bool"])
def test_one_bit_of_a_variable_is_seen_and_named(ranks, dtype):
    world = ranks(2)
    values = [np.zeros(5), np.zeros(5)]
    values[1][3] = 1 if dtype in ("int32", "uint8", "bool") else 1e-30 if dtype != "float16" else 1e-7
    pairs = [
        [keras.Variable(np.ones(2), name="same"), keras.Variable(value, dtype=dtype, name="other")] for value in values
    ]

    def run(rank):
        with pytest.raises(
            RunError, match=r"at step 7, rank 1 differs from rank 0 in other: the ranks no longer train"
        ):
            Fingerprints(pairs[rank]).check(world, "step 7")
        Fingerprints(pairs[0]).check(world, "step 8")

    world.run(run)
