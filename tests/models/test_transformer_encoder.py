"""Encoders that classify texts and images: equality with PyTorch, padding, patches, learning, saving, sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfdl
from tfdl.config import TransformerConfig, compose
from tfdl.errors import UserError
from tfdl.layers.patch_embedding import PatchEmbedding
from tfdl.optimizers import Adam

SMALL = {"architecture": "encoder", "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "sequence_length": 12}


def text_model(**fields):
    return tfdl.build_model("transformer", vocab_size=11, num_classes=3, **{**SMALL, **fields})


def image_model(**fields):
    fields = {"patch_size": 4, "pooling": "first", **fields}
    return tfdl.build_model("transformer", input_shape=(12, 8, 2), num_classes=3, **{**SMALL, **fields})


def tokens(batch=4, length=7):
    return np.random.default_rng(0).integers(1, 11, (batch, length)).astype("int32")


def images(batch=4):
    return np.random.default_rng(0).random((batch, 12, 8, 2), "float32")


def randomized(model):
    """Sets all weights to random values, including biases, gains and the class token."""
    random = np.random.default_rng(1)
    model.set_weights([value + 0.1 * random.normal(size=value.shape) for value in model.get_weights()])
    return model


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu_exact"])
def test_pytorch_s_encoder_gives_the_same(norm_first, activation):
    torch = pytest.importorskip("torch")
    model = randomized(text_model(norm_first=norm_first, activation=activation, epsilon=1e-5))
    layer = torch.nn.TransformerEncoderLayer(
        16, 2, 64, 0.0, activation.removesuffix("_exact"), batch_first=True, norm_first=norm_first
    )
    theirs = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    for block, torch_block in zip(model.blocks, theirs.layers, strict=True):
        copy_into_torch(torch, block, torch_block)
    inputs = np.random.default_rng(2).normal(size=(3, 6, 16)).astype("float32")
    mask = np.arange(6) < np.array([[6], [4], [1]])  # true for tokens; PyTorch's mask is true for padding
    hidden = tf.constant(inputs)
    for block in model.blocks:
        hidden = block(hidden, padding_mask=mask)
    with torch.no_grad():
        expected = theirs(torch.tensor(inputs), src_key_padding_mask=torch.tensor(~mask)).numpy()
    np.testing.assert_allclose(np.asarray(hidden)[mask], expected[mask], rtol=1e-4, atol=1e-5)


def copy_into_torch(torch, block, torch_block):
    """Copies the weights of a Transformer block into PyTorch's TransformerEncoderLayer."""
    up_kernel, up_bias, down_kernel, down_bias = block.feed_forward.get_weights()
    dense_layers = {
        "self_attn.in_proj_": block.attention.query_key_value.get_weights(),
        "self_attn.out_proj.": block.attention.output_projection.get_weights(),
        "linear1.": [up_kernel, up_bias],
        "linear2.": [down_kernel, down_bias],
    }
    norms = {"norm1.": block.attention_norm, "norm2.": block.feed_forward_norm}
    state = {}
    for prefix, (kernel, bias) in dense_layers.items():
        state[f"{prefix}weight"] = torch.tensor(kernel.T).contiguous()
        state[f"{prefix}bias"] = torch.tensor(bias)
    for prefix, norm in norms.items():
        gamma, beta = norm.get_weights()
        state[f"{prefix}weight"] = torch.tensor(gamma)
        state[f"{prefix}bias"] = torch.tensor(beta)
    torch_block.load_state_dict(state)


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_padding_changes_nothing(pooling, norm_first):
    model = randomized(text_model(pooling=pooling, norm_first=norm_first))
    text = tokens()
    text[1, 4:] = 0
    padded = np.pad(text, [(0, 0), (0, 5)])
    np.testing.assert_allclose(model(padded), model(text), rtol=1e-5, atol=1e-6)
    alone = model(text[1:2, :4])
    np.testing.assert_allclose(model(text)[1:2], alone, rtol=1e-5, atol=1e-6)
    assert np.isfinite(model(np.zeros((2, 5), "int32"))).all()


def test_every_token_attends_to_both_sides():
    model = randomized(text_model())
    text = tokens()
    hidden = keras.Model(model.inputs[0], model.get_layer("final_norm").output)
    before = np.asarray(hidden(text))
    text[:, 3] = text[:, 3] % 10 + 1
    after = np.asarray(hidden(text))
    changed_positions = (after != before).any(axis=(0, 2))
    assert changed_positions.all()


def test_patch_embedding_is_a_convolution():
    layer = PatchEmbedding(4, 5)
    patches = layer(images())  # (batch, patches, width)
    kernel, bias = layer.get_weights()
    expected = tf.nn.conv2d(images(), kernel.reshape(4, 4, 2, 5), 4, "VALID") + bias
    np.testing.assert_allclose(patches, tf.reshape(expected, [4, 6, 5]), rtol=1e-5, atol=1e-6)


def test_the_class_token_stands_before_the_patches():
    first = image_model()
    mean = image_model(pooling="mean")
    assert first.position_embedding.table.shape == (7, 16)
    assert mean.position_embedding.table.shape == (6, 16)
    assert first.count_params() - mean.count_params() == 16 + 16


def test_hugging_face_s_vit_has_as_many_parameters():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=12, patch_size=4,
        num_channels=2, num_labels=3,
    )  # fmt: skip
    theirs = transformers.ViTForImageClassification(config).num_parameters()
    ours = tfdl.build_model(
        "transformer", input_shape=(12, 12, 2), num_classes=3, patch_size=4, pooling="first", **SMALL
    )
    assert ours.count_params() == theirs


def train(model, inputs, labels, steps):
    """Trains with Adam on one batch, and returns the last loss."""
    optimizer = Adam(0.003)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    for _ in range(steps):
        loss = step()
    return float(loss)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [(text_model, tokens), (lambda: text_model(pooling="first", norm_first=False), tokens), (image_model, images)],
    ids=["mean", "bert", "vit"],
)
def test_it_overfits_one_batch(make, inputs):
    assert train(make(), inputs(9), np.arange(9) % 3, steps=400) < 0.05


@pytest.mark.usefixtures("data_dir")
def test_a_vision_transformer_trains_from_a_configuration(tmp_path):
    config = compose({"model": "vit-nano", "model.num_layers": 1, "dataset.image_size": [8, 8], "steps": 40})
    run = tfdl.train(config, tmp_path / "run")
    summary = run.read_summary()
    assert summary["model"] == "vit-nano"
    assert summary["task"] == "image-classification"
    assert summary["test"]["accuracy"] > 0.3


@pytest.mark.parametrize("make", [text_model, lambda: text_model(pooling="first", dropout=0.1), image_model])
def test_it_saves_and_loads_as_a_keras_file(make, tmp_path):
    model = randomized(make())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = images() if len(model.input_shape) == 4 else tokens()
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert loaded.get_config() == model.get_config()


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_precisions(precision):
    with tfdl.models.compute_precision(precision):
        models = [(text_model(), tokens()), (image_model(), images())]
    expected = "float64" if precision == "float64" else "float32"
    for model, inputs in models:
        logits = model(inputs)
        assert logits.dtype == expected
        assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: image_model(patch_size=5),
            r"images of 12x8 cannot be cut into patches of 5x5; give a model\.patch_size",
        ),
        (lambda: image_model(architecture="decoder"), r"model\.patch_size=4, expected none, except with"),
        (lambda: text_model(hidden_dim=15), r"model\.hidden_dim=15, expected a multiple of model\.num_heads=2"),
        (lambda: tfdl.build_model("transformer", vocab_size=3, **SMALL), r"encoder needs num_classes"),
        (
            lambda: tfdl.build_model("vit-tiny", vocab_size=3),
            r"takes only input_shape and num_classes of its data, but got",
        ),
        (lambda: tfdl.build_model("bert-tiny", vocab_size=0), r"vocab_size=0, expected a whole number of at least 1"),
        (lambda: tfdl.build_model("vit-tiny", num_classes=0), r"num_classes=0, expected a whole number of at least 1"),
        (lambda: tfdl.build_model("vit-tiny", input_shape=(3, 3)), r"input_shape=\(3, 3\), expected \(height, width"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_text_longer_than_the_positions():
    with pytest.raises(ValueError, match="a sequence of 13 tokens is longer than the model's 12 positions"):
        text_model()(tokens(length=13))


def test_the_default_task_follows_the_architecture():
    tasks = {
        "language-modeling": {},
        "text-classification": {"architecture": "encoder"},
        "image-classification": {"architecture": "encoder", "patch_size": 4},
        "translation": {"architecture": "encoder-decoder"},
    }
    for task, fields in tasks.items():
        assert TransformerConfig(**fields).default_task == task
