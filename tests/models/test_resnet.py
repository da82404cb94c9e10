"""Residual networks: the papers' sizes, equality with PyTorch, shortcuts, initial values, learning, saving."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

import tfdl
from tfdl.config import PRESETS, ResNetConfig, TrainConfig, compose, to_yaml
from tfdl.errors import UserError
from tfdl.models import compute_precision
from tfdl.models.shapes_only import shapes_only
from tfdl.optimizers import Adam

SMALL = {"blocks": (1, 2), "filters": (4, 8)}
DATA = {"input_shape": (9, 8, 3), "num_classes": 5}


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(model):
    """Sets every weight to random values large enough that swapping two weights changes the result."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        value = random.normal(size=weight.shape)
        if len(weight.shape) > 1:
            value /= np.sqrt(np.prod(weight.shape[:-1]))
        if "variance" in weight.path or "gamma" in weight.path:
            value = np.abs(value) + 0.5
        weight.assign(value)


def partial_model(model, *names):
    """A model that returns the outputs of the layers of these names."""
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


# The papers' sizes

# https://arxiv.org/abs/1512.03385, table 6: millions of parameters.
SMALL_IMAGES = {"resnet20": 0.27, "resnet32": 0.46, "resnet44": 0.66, "resnet56": 0.85, "resnet110": 1.7}
# Trainable parameters of the models that PyTorch's torchvision publishes.
IMAGENET = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


def num_parameters(name):
    """Returns the name of a preset's model and the number of its trainable parameters."""
    with shapes_only():
        model = tfdl.build_model(name)
    return model.name, sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_every_preset_is_tested():
    names = [name for name, preset in PRESETS.items() if preset.config is ResNetConfig]
    assert names == [*SMALL_IMAGES, *IMAGENET]


@pytest.mark.parametrize(("name", "millions"), SMALL_IMAGES.items())
def test_parameters_of_small_images_networks(name, millions):
    model_name, parameters = num_parameters(name)
    assert model_name == name  # the model computes it from its depth
    assert parameters == PRESETS[name].parameters
    digits = 1 if name == "resnet110" else 2
    assert round(parameters / 1e6, digits) == millions


def test_parameters_of_resnet20_added_up():
    stages = 7 * 9 * 16 * 16 + (9 * 16 * 32 + 5 * 9 * 32 * 32) + (9 * 32 * 64 + 5 * 9 * 64 * 64)
    stages -= 9 * 16 * 16  # the seventh is in the stem, from 3 channels
    normalizations = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert PRESETS["resnet20"].parameters == 9 * 3 * 16 + stages + normalizations + 64 * 10 + 10


@pytest.mark.parametrize(("name", "parameters"), IMAGENET.items())
def test_parameters_of_imagenet_networks(name, parameters):
    assert num_parameters(name) == (name, parameters)
    assert PRESETS[name].parameters == parameters


def test_resolution_of_each_stage():
    with shapes_only():
        small = tfdl.build_model("resnet20")
        large = tfdl.build_model("resnet50")
    shapes = [small.get_layer(f"stage_{stage}_block_3_relu_2").output.shape for stage in (1, 2, 3)]
    assert shapes == [(None, 32, 32, 16), (None, 16, 16, 32), (None, 8, 8, 64)]
    expected = {
        "stem_relu": (None, 112, 112, 64),
        "stem_pool": (None, 56, 56, 64),
        "stage_1_block_3_relu_3": (None, 56, 56, 256),
        "stage_2_block_3_relu_3": (None, 28, 28, 512),
        "stage_3_block_3_relu_3": (None, 14, 14, 1024),
        "stage_4_block_3_relu_3": (None, 7, 7, 2048),
    }
    for name, shape in expected.items():
        assert large.get_layer(name).output.shape == shape, name


def test_a_bottleneck_has_its_stride_in_the_3x3_convolution():
    with shapes_only():
        model = tfdl.build_model("resnet50")
    strides = [model.get_layer(f"stage_2_block_1_conv_{number}").strides for number in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]


def test_data_and_fields_override_the_preset():
    model = tfdl.build_model("resnet20", input_shape=(24, 24, 1), num_classes=7, filters=(4, 4, 4))
    assert model.input_shape == (None, 24, 24, 1)
    assert model.output_shape == (None, 7)
    assert model.get_layer("stem_conv").kernel.shape == (3, 3, 1, 4)


def test_variables_have_explicit_paths():
    model = tfdl.build_model("resnet", **DATA, blocks=(1, 1), filters=(4, 8), shortcut="projection")
    layers = [
        "stem_conv", "stem_batch_normalization",
        "stage_1_block_1_conv_1", "stage_1_block_1_batch_normalization_1",
        "stage_1_block_1_conv_2", "stage_1_block_1_batch_normalization_2",
        "stage_2_block_1_conv_1", "stage_2_block_1_batch_normalization_1",
        "stage_2_block_1_conv_2", "stage_2_block_1_batch_normalization_2",
        "stage_2_block_1_shortcut_conv", "stage_2_block_1_shortcut_batch_normalization",
        "logits",
    ]  # fmt: skip
    assert {weight.path.split("/")[0] for weight in model.weights} == set(layers)
    again = tfdl.build_model("resnet", **DATA, blocks=(1, 1), filters=(4, 8), shortcut="projection")
    assert [weight.path for weight in again.weights] == [weight.path for weight in model.weights]


# The same network in PyTorch


def torch_network(config, channels, num_classes):
    """The network as PyTorch users write it, with tfdl's layer names and padding in the convolutions."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            expansion = {"basic": 1, "bottleneck": 4}[config.block]
            size, stride = (3, 1) if config.stem == "3x3" else (7, 2)
            width = config.filters[0]  # channels of the layer before
            self.add_pair("stem_", "", channels, width, size, stride)
            self.blocks = []  # the name, stride and output channels of each
            for stage, (count, filters) in enumerate(zip(config.blocks, config.filters, strict=True), start=1):
                outputs = expansion * filters
                for block in range(1, count + 1):
                    name = f"stage_{stage}_block_{block}_"
                    stride = 2 if stage > 1 and block == 1 else 1
                    if config.block == "basic":
                        self.add_pair(name, "_1", width, filters, 3, stride)
                        self.add_pair(name, "_2", filters, filters, 3, 1)
                    else:
                        self.add_pair(name, "_1", width, filters, 1, 1)
                        self.add_pair(name, "_2", filters, filters, 3, stride)
                        self.add_pair(name, "_3", filters, outputs, 1, 1)
                    changes_shape = stride == 2 or width != outputs
                    if changes_shape and config.shortcut == "projection":
                        self.add_pair(name + "shortcut_", "", width, outputs, 1, stride)
                    self.blocks.append((name, stride, outputs))
                    width = outputs
            self.logits = nn.Linear(width, num_classes)

        def add_pair(self, name, number, inputs, outputs, size, stride):
            """A convolution and the normalization of its outputs."""
            conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
            normalization = nn.BatchNorm2d(outputs, eps=config.epsilon)
            self.add_module(f"{name}conv{number}", conv)
            self.add_module(f"{name}batch_normalization{number}", normalization)

        def apply_pair(self, name, number, x):
            conv = getattr(self, f"{name}conv{number}")
            normalization = getattr(self, f"{name}batch_normalization{number}")
            return normalization(conv(x))

        def shortcut(self, name, x, stride, width):
            if hasattr(self, f"{name}shortcut_conv"):
                return self.apply_pair(f"{name}shortcut_", "", x)
            x = nn.functional.avg_pool2d(x, 1, stride)  # as in the authors' code
            zeros = torch.zeros(x.shape[0], width - x.shape[1], *x.shape[2:], dtype=x.dtype)
            return torch.cat([x, zeros], 1)

        def forward(self, x):
            x = torch.relu(self.apply_pair("stem_", "", x))
            if config.stem == "7x7":
                x = nn.functional.max_pool2d(x, 3, 2, padding=1)
            count = 2 if config.block == "basic" else 3
            for name, stride, width in self.blocks:
                y = x
                for number in range(1, count + 1):
                    y = self.apply_pair(name, f"_{number}", y)
                    if number < count:  # the last ReLU follows the sum
                        y = torch.relu(y)
                x = torch.relu(y + self.shortcut(name, x, stride, width))
            return self.logits(x.mean((2, 3)))

    return torch, Network()


TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def copy_into_torch(torch, model, network):
    """Copies the weights of a Keras model into ``torch_network``'s, and checks that none is left out."""
    state = network.state_dict()
    copied = set()
    for weight in model.weights:
        layer, name = weight.path.split("/")
        key = f"{layer}.{TORCH_NAMES[name]}"
        value = np.asarray(weight)
        # A convolution's kernel becomes (outputs, inputs, height, width).
        value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        assert tuple(state[key].shape) == value.shape, key
        state[key] = torch.from_numpy(np.ascontiguousarray(value))
        copied.add(key)
    expected = {key for key in state if "num_batches" not in key}  # PyTorch counts batches, Keras does not
    assert copied == expected
    network.load_state_dict(state)


NETWORKS = {
    "identity": {"blocks": (1, 2, 1), "filters": (4, 6, 6)},
    "projection": {"blocks": (2, 1), "filters": (4, 8), "shortcut": "projection"},
    "bottleneck": {"block": "bottleneck", "blocks": (1, 2), "filters": (3, 4), "shortcut": "projection"},
    "bottleneck-identity": {"block": "bottleneck", "blocks": (1, 1), "filters": (3, 4)},
    "7x7": {"stem": "7x7", "block": "bottleneck", "blocks": (1, 1), "filters": (3, 4), "shortcut": "projection"},
}


@pytest.mark.parametrize("size", [(16, 24), (19, 17)], ids=["even", "odd"])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("fields", NETWORKS.values(), ids=NETWORKS)
def test_logits_and_gradients_as_in_pytorch(fields, training, size):
    config = ResNetConfig(**fields)
    torch, network = torch_network(config, 3, 5)
    with compute_precision("float64"):
        model = tfdl.build_model(config, input_shape=(*size, 3), num_classes=5)
    randomize(model)
    copy_into_torch(torch, model, network.double())
    batch = images(4, *size, 3).astype("float64")
    upstream = images(4, 5, seed=1).astype("float64")  # the gradient by the logits

    inputs = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = model(inputs, training=training)
    stem_kernel = model.get_layer("stem_conv").kernel.value
    by_inputs, by_stem = tape.gradient(logits, [inputs, stem_kernel], upstream)

    torch_inputs = torch.tensor(batch.transpose(0, 3, 1, 2), requires_grad=True)  # channels first
    expected = network.train(training)(torch_inputs)
    expected.backward(torch.from_numpy(upstream))
    expected_by_inputs = torch_inputs.grad.permute(0, 2, 3, 1)
    expected_by_stem = network.stem_conv.weight.grad.permute(2, 3, 1, 0)
    np.testing.assert_allclose(logits, expected.detach(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(by_inputs, expected_by_inputs, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(by_stem, expected_by_stem, rtol=1e-5, atol=1e-5)


# Shortcuts and initial values


def test_an_identity_shortcut_adds_every_second_pixel_and_zeros():
    model = tfdl.build_model("resnet", **DATA, **SMALL)
    # The last gamma of the branch is 0 and its beta 0.5, so the block returns ReLU(shortcut + 0.5).
    last = model.get_layer("stage_2_block_1_batch_normalization_2")
    last.gamma.assign(np.zeros(8))
    last.beta.assign(np.full(8, 0.5))
    around_the_block = partial_model(model, "stage_1_block_1_relu_2", "stage_2_block_1_relu_2")
    before, after = around_the_block(images(2, 9, 8, 3))
    assert after.shape == (2, 5, 4, 8)
    np.testing.assert_allclose(after[..., :4], before[:, ::2, ::2] + 0.5, rtol=1e-6)
    np.testing.assert_array_equal(after[..., 4:], np.full((2, 5, 4, 4), 0.5))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_with_zero_gamma_a_block_starts_as_its_shortcut(block, training):
    model = tfdl.build_model("resnet", **DATA, **SMALL, block=block, shortcut="projection", zero_gamma=True)
    last = 2 if block == "basic" else 3
    names = [f"stage_2_block_1_relu_{last}", f"stage_2_block_2_relu_{last}", "stage_2_block_1_shortcut_conv"]
    before, after, projection = partial_model(model, *names)(images(2, 9, 8, 3), training=training)
    assert np.ptp(before) > 0.1
    np.testing.assert_array_equal(after, before)
    if not training:  # the moving statistics are 0 and 1
        np.testing.assert_allclose(before, tf.nn.relu(projection) / np.sqrt(1 + 1e-5), rtol=1e-5, atol=1e-6)


def test_zero_gamma_is_for_the_last_normalization_of_each_block():
    for zero_gamma, expected_of_last in [(True, 0.0), (False, 1.0)]:
        model = tfdl.build_model("resnet", **DATA, **SMALL, shortcut="projection", zero_gamma=zero_gamma)
        for weight in model.trainable_weights:
            if weight.path.endswith("gamma"):
                is_last = "block" in weight.path and "batch_normalization_2" in weight.path
                value = expected_of_last if is_last else 1.0
                np.testing.assert_array_equal(weight, np.full(weight.shape, value), weight.path)


def test_initial_kernels():
    model = tfdl.build_model("resnet", input_shape=(8, 8, 3), num_classes=200, blocks=(1,), filters=(64,))
    kernel = np.asarray(model.get_layer("stage_1_block_1_conv_1").kernel)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.03)
    assert abs(kernel.mean()) < 0.03 * kernel.std()
    logits_kernel = np.asarray(model.get_layer("logits").kernel)
    assert logits_kernel.std() == pytest.approx(0.01, rel=0.05)
    assert not np.array_equal(kernel, model.get_layer("stage_1_block_1_conv_2").kernel)


def test_the_first_loss_is_that_of_a_guess():
    model = tfdl.build_model("resnet20", num_classes=10)
    logits = model(images(10, 32, 32, 3), training=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(np.arange(10), logits)
    assert float(loss) == pytest.approx(np.log(10), abs=0.1)


def test_fields_reach_the_layers():
    fields = {"dropout": 0.5, "l2": 0.01, "momentum": 0.75, "epsilon": 0.01, "synchronized": False}
    model = tfdl.build_model("resnet", **DATA, **SMALL, shortcut="projection", **fields)
    assert model.get_layer("dropout").rate == 0.5
    normalizations = [layer for layer in model.layers if isinstance(layer, tfdl.layers.BatchNormalization)]
    assert len(normalizations) == 1 + 6 + 1
    for layer in normalizations:
        assert layer.momentum == 0.75
        assert layer.epsilon == 0.01
        assert layer.synchronized is False
    kernels = [weight for weight in model.weights if weight.path.endswith("kernel")]
    assert len(kernels) == 1 + 6 + 1 + 1
    sum_of_squares = sum(np.square(np.asarray(kernel, "float64")).sum() for kernel in kernels)
    assert float(tf.add_n(model.losses)) == pytest.approx(0.01 * sum_of_squares, rel=1e-5)


# Learning, precision, saving


@pytest.mark.parametrize(
    "fields",
    [
        {"blocks": (1, 2), "filters": (8, 16)},
        {**SMALL, "block": "bottleneck", "shortcut": "projection", "zero_gamma": True},
    ],
    ids=["basic", "bottleneck"],
)
def test_it_overfits_one_small_batch(fields):
    model = tfdl.build_model("resnet", input_shape=(8, 8, 1), num_classes=10, **fields)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = Adam(0.01)
    optimizer.build(model.trainable_variables)
    batch = images(16, 8, 8, 1)
    labels = np.arange(16) % 10

    @tf.function
    def train_step():
        with tf.GradientTape() as tape:
            loss = loss_fn(labels, model(batch, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    losses = [float(train_step()) for _ in range(100)]
    assert losses[0] > 1.5
    assert losses[-1] < 0.02
    predictions = np.argmax(model(batch, training=True), -1)
    assert predictions.tolist() == labels.tolist()


def test_it_trains_from_a_configuration(tmp_path, data_dir):  # noqa: ARG001
    model = {"name": "resnet", "blocks": [1, 1], "filters": [4, 8]}
    settings = {"model": model, "dataset.image_size": [8, 8], "batch_size": 64, "steps": 8}
    tfdl.train(compose(settings), tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["model"] == "resnet"
    assert summary["steps"] == 8
    assert np.isfinite(summary["test"]["loss"])


@pytest.mark.parametrize(
    ("policy", "inside", "outside"),
    [
        ("mixed_float16", "float16", "float32"),
        ("mixed_bfloat16", "bfloat16", "float32"),
        ("float64", "float64", "float64"),
    ],
)
def test_precisions(policy, inside, outside):
    reference = tfdl.build_model("resnet", **DATA, **SMALL)
    with compute_precision(policy):
        model = tfdl.build_model("resnet", **DATA, **SMALL)
    model.set_weights(reference.get_weights())
    batch = images(4, 9, 8, 3)
    hidden_and_logits = partial_model(model, "stage_2_block_1_relu_2", "logits")
    hidden, logits = hidden_and_logits(batch, training=True)
    assert hidden.dtype == inside
    assert logits.dtype == outside
    assert {weight.dtype for weight in model.weights} == {outside}
    np.testing.assert_allclose(logits, reference(batch, training=True), atol=0.05)


def test_it_compiles():
    model = tfdl.build_model("resnet", **DATA, **SMALL)
    randomize(model)
    batch = images(2, 9, 8, 3)
    compiled = tf.function(model, jit_compile=True)
    np.testing.assert_allclose(compiled(batch), model(batch), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fields", NETWORKS.values(), ids=NETWORKS)
def test_it_saves_and_loads_as_a_keras_file(fields, tmp_path):
    model = tfdl.build_model("resnet", input_shape=(16, 16, 3), num_classes=5, zero_gamma=True, dropout=0.1, **fields)
    randomize(model)
    model.save(tmp_path / "resnet.keras")
    loaded = keras.saving.load_model(tmp_path / "resnet.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())  # JSON has no tuples
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    batch = images(2, 16, 16, 3)
    np.testing.assert_array_equal(loaded(batch), model(batch))


def test_it_is_rebuilt_from_its_own_configuration():
    model = tfdl.build_model("resnet", **DATA, **SMALL)
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    batch = images(2, 9, 8, 3)
    np.testing.assert_array_equal(copy(batch, training=True), model(batch, training=True))


@pytest.mark.parametrize("name", ["resnet", *SMALL_IMAGES, *IMAGENET])
def test_its_configuration_survives_yaml(name):
    config = TrainConfig(model={"name": name, "zero_gamma": True})
    assert TrainConfig.from_mapping(yaml.safe_load(to_yaml(config))) == config


# Bad input


@pytest.mark.parametrize(("shape", "stem", "halvings"), [((3, 32, 1), "3x3", 2), ((64, 15, 3), "7x7", 4)])
def test_an_image_too_small_for_the_strides(shape, stem, halvings):
    with pytest.raises(UserError) as raised:
        tfdl.build_model("resnet", input_shape=shape, num_classes=10, stem=stem)
    smallest = 2**halvings
    smaller_stem = ", model.stem=3x3" if stem == "7x7" else ""
    assert str(raised.value) == (
        f"images of {shape[0]}x{shape[1]} are too small for {halvings} halvings, which need at least"
        f" {smallest}x{smallest}; give fewer stages (model.blocks and model.filters){smaller_stem} or a larger"
        " dataset.image_size (--image-size)"
    )


@pytest.mark.parametrize(("stem", "size"), [("3x3", 4), ("7x7", 16)])
def test_the_smallest_image_that_fits(stem, size):
    model = tfdl.build_model("resnet", input_shape=(size, size, 1), num_classes=2, stem=stem, blocks=(1, 1, 1))
    assert model.get_layer("stage_3_block_1_relu_2").output.shape[1:3] == (1, 1)


@pytest.mark.parametrize("shape", [(32, 32), (32, None, 3), (32, 32, 0)])
def test_a_shape_that_is_not_an_image(shape):
    with pytest.raises(UserError, match=r"input_shape=\(32, .*\), expected \(height, width, channels\) such as"):
        tfdl.build_model("resnet", input_shape=shape, num_classes=10)


def test_no_classes():
    with pytest.raises(UserError, match="num_classes=0, expected a whole number of at least 1"):
        tfdl.build_model("resnet", input_shape=(32, 32, 3), num_classes=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blocks": ()}, "model.blocks=[], expected at least one stage, such as [3, 3, 3]"),
        ({"blocks": (3, 0, 3)}, "model.blocks=[3, 0, 3], expected at least one block in each stage"),
        (
            {"blocks": (3, 3)},
            "model.filters=[16, 32, 64], expected one channel count for each of the 2 stages of model.blocks=[3, 3]",
        ),
        ({"filters": (16, 0, 64)}, "model.filters=[16, 0, 64], expected positive channel counts"),
        (
            {"filters": (16, 64, 32)},
            "model.filters=[16, 64, 32], expected channel counts that never fall, which identity shortcuts need"
            " (or model.shortcut=projection)",
        ),
        ({"stem": "5x5"}, "model.stem='5x5', expected one of 3x3, 7x7."),
        ({"block": "wide"}, "model.block='wide', expected one of basic, bottleneck."),
        ({"l2": -1.0}, "model.l2=-1.0, expected a number of at least 0"),
        ({"epsilon": 0.0}, "model.epsilon=0.0, expected a small number above 0, such as 1e-5"),
        ({"dropout": 1.0}, "model.dropout=1.0, expected a number from 0 to below 1"),
        ({"momentum": 1.0}, "model.momentum=1.0, expected a number from 0 to below 1"),
    ],
)
def test_values_that_cannot_be_used(fields, message):
    with pytest.raises(UserError) as raised:
        ResNetConfig(**fields)
    assert str(raised.value) == message


def test_projections_may_have_fewer_channels():
    model = tfdl.build_model("resnet", **DATA, blocks=(1, 1), filters=(8, 4), shortcut="projection")
    assert model(images(2, 9, 8, 3)).shape == (2, 5)
