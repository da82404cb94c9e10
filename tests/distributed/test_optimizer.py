"""``DistributedOptimizer``, buckets and fingerprints, with ranks as threads."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfdl.distributed import DistributedOptimizer, SingleWorld
from tfdl.distributed.buckets import sum_over_ranks
from tfdl.distributed.optimizer import is_distributed, undo
from tfdl.distributed.sync_proof import SyncProof
from tfdl.errors import RunError, UserError
from tfdl.optimizers import Adam

# All optimizers of Keras. Those that wrap another one are tested under horovodrun.
OF_KERAS = sorted(
    (found for found in vars(keras.optimizers).values() if inspect.isclass(found)), key=lambda found: found.__name__
)
OF_KERAS = [
    found
    for found in OF_KERAS
    if issubclass(found, keras.optimizers.Optimizer)
    and found not in (keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
]


def several(kernels, biases):
    """One optimizer for kernels, and one for biases."""
    return keras.optimizers.MultiOptimizer(lambda variable: kernels if len(variable.shape) == 2 else biases)


OPTIMIZERS = [
    *OF_KERAS,
    lambda: several(keras.optimizers.Adam(0.01, clipnorm=0.5), keras.optimizers.SGD(0.1)),
    lambda: keras.optimizers.LossScaleOptimizer(several(keras.optimizers.SGD(0.1), keras.optimizers.RMSprop(0.01))),
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
        optimizer._share_state = None

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
@pytest.mark.parametrize(
    "make", [lambda: keras.optimizers.SGD(1.0), lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.5)]
)
def test_rows_of_an_embedding(ranks, make, sparse_as_dense):
    """Rows that occur twice, on one rank and on two, give the same step as the whole table's gradient."""
    world = ranks(2)
    tables = [keras.Variable(np.ones((5, 2), "float32")) for _ in range(3)]
    optimizers = [DistributedOptimizer(make(), sparse_as_dense=sparse_as_dense) for _ in range(2)]
    rows = [[0, 3], [3, 3]]
    for optimizer, table in zip(optimizers, tables, strict=False):
        optimizer.build([table])
        optimizer._share_state = None

    def step(rank):
        for size in (1.0, 2.0):
            slices = tf.IndexedSlices(tf.fill([2, 2], size), rows[rank], [5, 2])
            optimizers[rank].apply([slices], [tables[rank]])

    world.run(step)
    plain = make()
    for size in (1.0, 2.0):
        gradient = size * tf.constant([[0.5], [0.0], [0.0], [1.5], [0.0]]) * tf.ones([1, 2])
        plain.apply([gradient], [tables[2]])
    for table in tables:
        np.testing.assert_allclose(table, tables[2], rtol=1e-6)
    assert (np.asarray(tables[2])[[1, 2, 4]] == 1).all()


def test_accumulated_gradients_are_averaged_once_for_each_update(ranks, monkeypatch):
    world = ranks(2)
    sent = []
    plain = world.all_reduce
    monkeypatch.setattr(world, "all_reduce", lambda t: (sent.append(world.rank), plain(t))[1])
    mine = [keras.Variable([0.0]) for _ in range(2)]
    optimizers = [DistributedOptimizer(keras.optimizers.SGD(1.0, gradient_accumulation_steps=3)) for _ in mine]
    for optimizer, variable in zip(optimizers, mine, strict=True):
        optimizer.build([variable])
        optimizer._share_state = None

    def steps(rank):
        for step in range(6):
            optimizers[rank].apply([tf.constant([float(step + rank)])], [mine[rank]])

    world.run(steps)
    assert sorted(sent) == [0, 0, 1, 1]
    for variable in mine:
        assert float(variable[0]) == -(1.5 + 4.5)  # means over two ranks and three steps each


def test_a_bucket_is_sent_before_the_backward_pass_is_done():
    """In a step's graph, the first bucket depends on the last layer's gradients, and not on the first layer's."""
    model = keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(8, name=f"dense_{n}") for n in range(3))])
    optimizer = DistributedOptimizer(keras.optimizers.SGD(0.1), bucket_bytes=4 * 72, world=Twins())
    optimizer.build(model.trainable_variables)
    optimizer._share_state = None

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(inputs) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(
            [tf.identity(g, name=f"gradient_{place}") for place, g in enumerate(gradients)], model.trainable_variables
        )

    graph = step.get_concrete_function(tf.TensorSpec((4, 8))).graph
    waits_for = [gradients_before(op) for op in graph.get_operations() if op.name.rpartition("/")[2].startswith("sent")]
    assert waits_for == [{4, 5}, {2, 3}, {0, 1}]


def gradients_before(operation):
    """The numbers of the gradients on which an operation depends, directly or indirectly."""
    found, seen, waiting = set(), set(), [operation]
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        name = op.name.rpartition("/")[2]
        if name.startswith("gradient_"):
            found.add(int(name.removeprefix("gradient_")))
        else:
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return found


class Twins(SingleWorld):
    """Two ranks that always have the same values."""

    size = 2

    def all_reduce(self, tensor):
        return tf.multiply(tensor, 2, name="sent")


def compressed_step(ranks, gradients, compression):
    """The ranks' averaged gradients for one variable, from a step with learning rate 1."""
    world = ranks(len(gradients))
    mine = [keras.Variable(np.zeros_like(gradients[0])) for _ in gradients]
    optimizers = [DistributedOptimizer(keras.optimizers.SGD(1.0), compression=compression) for _ in gradients]
    for optimizer in optimizers:
        optimizer._share_state = None
    world.run(lambda rank: optimizers[rank].apply([tf.constant(gradients[rank])], [mine[rank]]))
    return [-np.asarray(variable) for variable in mine]


@pytest.mark.parametrize(("compression", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_compression_rounds_to_the_number_of_binary_digits(ranks, compression, digits):
    gradients = np.random.default_rng(0).normal(size=(4, 1000)).astype("float32")
    steps = compressed_step(ranks, list(gradients), compression)
    exact = gradients.astype("float64").mean(axis=0)
    # One rounding when sent and one in each addition, each of half a unit in the last place of the value.
    bound = 2.0**-digits * (np.abs(gradients).sum(axis=0) / 4 * (1 + 3)) * 1.1
    error = np.abs(steps[0] - exact)
    assert (error <= bound).all()
    assert error.max() > 2.0 ** -(digits + 2) * np.abs(exact).max() / 4  # it did round
    for step in steps:
        assert step.dtype == np.float32
        np.testing.assert_array_equal(step, steps[0])


def test_a_sum_over_ranks_does_not_overflow_in_float16(ranks):
    """Four times 60,000 is infinite there, so each rank sends its share of the mean."""
    gradients = [np.array([6e4, 1e-3, 3e5], "float32") for _ in range(4)]
    (step, *_) = compressed_step(ranks, gradients, "float16")
    np.testing.assert_allclose(step[:2], [6e4, 1e-3], rtol=2e-3)
    assert np.isinf(step[2])
    assert np.isfinite(compressed_step(ranks, gradients, "bfloat16")[0]).all()


@pytest.mark.parametrize("compression", ["float16", "bfloat16"])
def test_other_dtypes_are_sent_as_they_are(ranks, compression):
    gradients = [np.array([1 / 3, 1e300]) for _ in range(2)]
    np.testing.assert_array_equal(compressed_step(ranks, gradients, compression)[0], gradients[0])


def test_buckets_hold_tensors_of_one_dtype_from_the_last_to_the_first(ranks, monkeypatch):
    world = ranks(2)
    sent = []
    plain = world.all_reduce
    monkeypatch.setattr(
        world, "all_reduce", lambda t: (sent.append(t.shape[0]) if world.rank == 0 else None, plain(t))[1]
    )
    tensors = [tf.fill([size], float(size)) for size in (1, 2, 3, 4)] + [tf.fill([5], tf.constant(5.0, tf.float64))]
    sums = world.run(lambda _: sum_over_ranks(tensors, world, bucket_bytes=24))[1]
    assert sent == [5, 7, 3]
    for total, tensor in zip(sums, tensors, strict=True):
        assert total.dtype == tensor.dtype
        np.testing.assert_array_equal(total, 2 * tensor)


def test_tensors_of_unknown_shape_are_summed():
    @tf.function(input_signature=[tf.TensorSpec([3]), tf.TensorSpec([None, None]), tf.TensorSpec([])])
    def doubled(*tensors):
        return sum_over_ranks(tensors, Twins())

    tensors = [tf.constant([1.0, 2.0, 3.0]), tf.reshape(tf.range(10.0), [2, 5]), tf.constant(7.0)]
    for total, tensor in zip(doubled(*tensors), tensors, strict=True):
        np.testing.assert_array_equal(total, 2 * tensor)


def test_on_one_rank_nothing_changes():
    optimizer = DistributedOptimizer(keras.optimizers.SGD(0.5))
    variable = keras.Variable([1.0])
    optimizer.apply([tf.constant([1.0])], [variable])
    assert float(variable[0]) == 0.5


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_on_one_rank_it_adds_no_operation(make):
    """The graph of a step is that of the plain optimizer."""

    def operations(optimizer):
        owned = variables()
        optimizer.build(owned)
        graph = tf.function(lambda *found: optimizer.apply(found, owned)).get_concrete_function(*gradients(0, 0)).graph
        return [(node.type, len(node.inputs), len(node.control_inputs)) for node in graph.get_operations()]

    graphs = [operations(make()), operations(DistributedOptimizer(make()))]
    assert graphs[0] == graphs[1]
    assert len(graphs[0]) > 5


def test_a_first_step_without_a_common_state_is_refused(ranks):
    world = ranks(2)
    optimizer = DistributedOptimizer(keras.optimizers.SGD(1.0))
    variable = keras.Variable([1.0])
    optimizer.build([variable])
    with pytest.raises(UserError, match=r"2 ranks start training without a common state; add tfdl\.distributed\.Broad"):
        world.run(lambda _: optimizer.apply([tf.constant([1.0])], [variable]))


def test_wrapping_again_changes_the_options_and_nothing_else():
    optimizer = DistributedOptimizer(keras.optimizers.SGD(0.5))
    cls = type(DistributedOptimizer(optimizer, compression="bfloat16"))
    assert cls._plain_class is keras.optimizers.SGD
    assert issubclass(cls, keras.optimizers.SGD)
    outer = DistributedOptimizer(keras.optimizers.LossScaleOptimizer(optimizer))
    assert is_distributed(outer)
    assert type(outer.inner_optimizer) is keras.optimizers.SGD  # not averaged twice


def test_it_is_the_same_object_and_saved_as_the_plain_optimizer(tmp_path):
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
        ((keras.optimizers.SGD(), "none", 0), "bucket_bytes=0, expected at least 1"),
        (("adam",), "DistributedOptimizer got str, expected a Keras 3 optimizer such as"),
        ((keras.optimizers.SGD(), "int8"), "compression='int8', expected one of none, float16, bfloat16"),
    ],
)
def test_bad_input(arguments, message):
    options = dict(zip(("compression", "bucket_bytes"), arguments[1:], strict=False))
    with pytest.raises(UserError, match=message):
        DistributedOptimizer(arguments[0], **options)


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
            SyncProof(lambda: pairs[rank], world, every=1).compare(7)
        SyncProof(lambda: pairs[0], world, every=1).compare(8)

    world.run(run)
