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
from tfdl.optimizers import SGD, Adam

# All optimizers of Keras, except the base class and those that wrap other optimizers.
KERAS_CLASSES = {cls for cls in vars(keras.optimizers).values() if inspect.isclass(cls)}
EXCLUDED = {keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer}
OF_KERAS = sorted(
    (cls for cls in KERAS_CLASSES - EXCLUDED if issubclass(cls, keras.optimizers.Optimizer)),
    key=lambda cls: cls.__name__,
)


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


SHAPES = [(4, 3), (3,)]  # of a kernel and a bias


def variables():
    random = np.random.default_rng(0)
    return [keras.Variable(random.normal(size=shape), dtype="float32") for shape in SHAPES]


def gradients(rank, step):
    random = np.random.default_rng(100 * step + rank)
    return [tf.constant(random.normal(size=shape), tf.float32) for shape in SHAPES]


def build_without_broadcast(optimizer, variables):
    """Builds an optimizer whose ranks have equal variables already, so that it does not require a broadcast."""
    optimizer.build(variables)
    optimizer._share_state = None


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_every_rank_steps_with_the_mean(ranks, make):
    world = ranks(3)
    variables_by_rank = [variables() for _ in range(3)]
    optimizers = [DistributedOptimizer(make()) for _ in range(3)]
    for optimizer, owned in zip(optimizers, variables_by_rank, strict=True):
        build_without_broadcast(optimizer, owned)

    def run(rank):
        for step in range(6):
            optimizers[rank].apply(gradients(rank, step), variables_by_rank[rank])

    world.run(run)
    plain = make()
    expected = variables()
    plain.build(expected)
    for step in range(6):
        gradients_by_rank = [gradients(rank, step) for rank in range(3)]
        means = [tf.add_n(list(of_ranks)) / 3 for of_ranks in zip(*gradients_by_rank, strict=True)]
        plain.apply(means, expected)
    for owned in variables_by_rank:
        for value, of_rank_0, expected_value in zip(owned, variables_by_rank[0], expected, strict=True):
            np.testing.assert_array_equal(value, of_rank_0)
            np.testing.assert_allclose(value, expected_value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse_as_dense", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(1.0),
        lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.5),
        lambda: SGD(1.0, global_clipnorm=0.5),
        lambda: Adam(0.1, clipnorm=0.5),
    ],
)
def test_rows_of_an_embedding(ranks, make, sparse_as_dense):
    """Rows that occur twice, on one rank and on two, give the same step as the whole table's gradient."""
    world = ranks(2)
    tables = [keras.Variable(np.ones((5, 2), "float32")) for _ in range(2)]
    optimizers = [DistributedOptimizer(make(), sparse_as_dense=sparse_as_dense) for _ in range(2)]
    rows = [[0, 3], [3, 3]]
    for optimizer, table in zip(optimizers, tables, strict=True):
        build_without_broadcast(optimizer, [table])

    def two_steps(rank):
        for size in (1.0, 2.0):
            slices = tf.IndexedSlices(tf.fill([2, 2], size), rows[rank], [5, 2])
            optimizers[rank].apply([slices], [tables[rank]])

    world.run(two_steps)
    plain = make()
    expected = keras.Variable(np.ones((5, 2), "float32"))
    for size in (1.0, 2.0):
        # Row 0 occurs once and row 3 three times, over two ranks.
        gradient = size * tf.constant([[0.5], [0.0], [0.0], [1.5], [0.0]]) * tf.ones([1, 2])
        plain.apply([gradient], [expected])
    for table in tables:
        np.testing.assert_allclose(table, expected, rtol=1e-6)
    assert (np.asarray(expected)[[1, 2, 4]] == 1).all()


def test_accumulated_gradients_are_averaged_once_for_each_update(ranks, monkeypatch):
    world = ranks(2)
    senders = []
    all_reduce = world.all_reduce

    def recorded_all_reduce(tensor):
        senders.append(world.rank)
        return all_reduce(tensor)

    monkeypatch.setattr(world, "all_reduce", recorded_all_reduce)
    variable_of_rank = [keras.Variable([0.0]) for _ in range(2)]
    optimizers = [DistributedOptimizer(keras.optimizers.SGD(1.0, gradient_accumulation_steps=3)) for _ in range(2)]
    for optimizer, variable in zip(optimizers, variable_of_rank, strict=True):
        build_without_broadcast(optimizer, [variable])

    def steps(rank):
        for step in range(6):
            gradient = tf.constant([float(step + rank)])
            optimizers[rank].apply([gradient], [variable_of_rank[rank]])

    world.run(steps)
    assert sorted(senders) == [0, 0, 1, 1]
    for variable in variable_of_rank:
        assert float(variable[0]) == -(1.5 + 4.5)  # means over two ranks and three steps each


def test_a_bucket_is_sent_before_the_backward_pass_is_done():
    """In a step's graph, the first bucket depends on the last layer's gradients, and not on the first layer's."""
    layers = [keras.layers.Dense(8, name=f"dense_{number}") for number in range(3)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    one_layer = 4 * (8 * 8 + 8)  # bytes
    optimizer = DistributedOptimizer(keras.optimizers.SGD(0.1), bucket_bytes=one_layer, world=Twins())
    build_without_broadcast(optimizer, model.trainable_variables)

    @tf.function
    def step(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(inputs) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        named = [tf.identity(gradient, name=f"gradient_{number}") for number, gradient in enumerate(gradients)]
        optimizer.apply(named, model.trainable_variables)

    graph = step.get_concrete_function(tf.TensorSpec((4, 8))).graph
    reductions = [op for op in graph.get_operations() if short_name(op).startswith("sent")]
    assert [gradients_before(op) for op in reductions] == [{4, 5}, {2, 3}, {0, 1}]


def short_name(operation):
    return operation.name.rpartition("/")[2]


def gradients_before(operation):
    """The numbers of the gradients on which an operation depends, directly or indirectly."""
    numbers = set()
    visited = set()
    waiting = [operation]
    while waiting:
        op = waiting.pop()
        if op.name in visited:
            continue
        visited.add(op.name)
        name = short_name(op)
        if name.startswith("gradient_"):
            numbers.add(int(name.removeprefix("gradient_")))
        else:
            waiting += [tensor.op for tensor in op.inputs]
            waiting += op.control_inputs
    return numbers


class Twins(SingleWorld):
    """Two ranks that always have the same values."""

    size = 2

    def all_reduce(self, tensor):
        return tf.multiply(tensor, 2, name="sent")


def compressed_step(ranks, gradients, compression):
    """The averaged gradient on each rank, from a step with learning rate 1.

    Args:
        ranks: The fixture.
        gradients: Each rank's gradient of one variable.
        compression: The option of ``DistributedOptimizer``.
    """
    world = ranks(len(gradients))
    variable_of_rank = [keras.Variable(np.zeros_like(gradients[0])) for _ in gradients]
    optimizers = [DistributedOptimizer(keras.optimizers.SGD(1.0), compression=compression) for _ in gradients]
    for optimizer in optimizers:
        optimizer._share_state = None
    world.run(lambda rank: optimizers[rank].apply([tf.constant(gradients[rank])], [variable_of_rank[rank]]))
    return [-np.asarray(variable) for variable in variable_of_rank]


@pytest.mark.parametrize(("compression", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_compression_rounds_to_the_number_of_binary_digits(ranks, compression, digits):
    gradients = np.random.default_rng(0).normal(size=(4, 1000)).astype("float32")
    steps = compressed_step(ranks, list(gradients), compression)
    exact = gradients.astype("float64").mean(axis=0)
    # One rounding when sent and one in each of 3 additions, each of half a unit in the last place of the value.
    mean_size = np.abs(gradients).sum(axis=0) / 4
    bound = 2.0**-digits * mean_size * (1 + 3) * 1.1
    error = np.abs(steps[0] - exact)
    assert (error <= bound).all()
    smallest_rounding = 2.0 ** -(digits + 2) * np.abs(exact).max() / 4
    assert error.max() > smallest_rounding  # otherwise nothing was compressed
    for step in steps:
        assert step.dtype == np.float32
        np.testing.assert_array_equal(step, steps[0])


def test_a_sum_over_ranks_does_not_overflow_in_float16(ranks):
    """Four times 60,000 is infinite in float16, so each rank sends its share of the mean."""
    gradients = [np.array([6e4, 1e-3, 3e5], "float32") for _ in range(4)]
    in_float16, *_ = compressed_step(ranks, gradients, "float16")
    np.testing.assert_allclose(in_float16[:2], [6e4, 1e-3], rtol=2e-3)
    assert np.isinf(in_float16[2])  # 300,000 is infinite on one rank already
    in_bfloat16, *_ = compressed_step(ranks, gradients, "bfloat16")
    assert np.isfinite(in_bfloat16).all()


@pytest.mark.parametrize("compression", ["float16", "bfloat16"])
def test_other_dtypes_are_sent_as_they_are(ranks, compression):
    gradients = [np.array([1 / 3, 1e300]) for _ in range(2)]
    step, *_ = compressed_step(ranks, gradients, compression)
    np.testing.assert_array_equal(step, gradients[0])


def test_buckets_hold_tensors_of_one_dtype_from_the_last_to_the_first(ranks, monkeypatch):
    world = ranks(2)
    bucket_sizes = []
    all_reduce = world.all_reduce

    def recorded_all_reduce(tensor):
        if world.rank == 0:
            bucket_sizes.append(tensor.shape[0])
        return all_reduce(tensor)

    monkeypatch.setattr(world, "all_reduce", recorded_all_reduce)
    tensors = [tf.fill([size], float(size)) for size in (1, 2, 3, 4)]  # float32
    tensors.append(tf.fill([5], tf.constant(5.0, tf.float64)))
    _, sums = world.run(lambda _: sum_over_ranks(tensors, world, bucket_bytes=24))
    assert bucket_sizes == [5, 4 + 3, 2 + 1]
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
        step = tf.function(lambda *gradients: optimizer.apply(gradients, owned))
        graph = step.get_concrete_function(*gradients(0, 0)).graph
        return [(op.type, len(op.inputs), len(op.control_inputs)) for op in graph.get_operations()]

    plain = operations(make())
    assert operations(DistributedOptimizer(make())) == plain
    assert len(plain) > 5


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
    loaded = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert type(loaded) is keras.optimizers.Adam
    assert float(loaded.learning_rate) == 0.25
    np.testing.assert_array_equal(loaded.variables[2], optimizer.variables[2])
    optimizer.learning_rate = 0.125
    assert float(optimizer.learning_rate) == 0.125
    assert type(undo(optimizer)) is keras.optimizers.Adam


@pytest.mark.parametrize(
    ("optimizer", "options", "message"),
    [
        (keras.optimizers.SGD(), {"bucket_bytes": 0}, "bucket_bytes=0, expected at least 1"),
        ("adam", {}, "DistributedOptimizer got str, expected a Keras 3 optimizer such as"),
        (
            keras.optimizers.SGD(),
            {"compression": "int8"},
            "compression='int8', expected one of none, float16, bfloat16",
        ),
    ],
)
def test_bad_input(optimizer, options, message):
    with pytest.raises(UserError, match=message):
        DistributedOptimizer(optimizer, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32", "uint8", "bool"])
def test_a_small_difference_of_a_variable_is_found_and_named(ranks, dtype):
    world = ranks(2)
    small = {"int32": 1, "uint8": 1, "bool": 1, "float16": 1e-7}.get(dtype, 1e-30)
    variables_by_rank = []
    for value in ([0, 0, 0, 0, 0], [0, 0, 0, small, 0]):
        same = keras.Variable(np.ones(2), name="same")
        other = keras.Variable(np.array(value, "float64"), dtype=dtype, name="other")
        variables_by_rank.append([same, other])

    def run(rank):
        message = r"at step 7, rank 1 differs from rank 0 in other: the ranks no longer train"
        with pytest.raises(RunError, match=message):
            SyncProof(lambda: variables_by_rank[rank], world, every=1).compare(7)
        SyncProof(lambda: variables_by_rank[0], world, every=1).compare(8)  # the control: equal variables

    world.run(run)
