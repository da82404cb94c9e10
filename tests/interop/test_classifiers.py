"""Classifiers with random weights: imported, and written again, they give transformers' logits."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.interop import published
from tests.interop.published import POSITIONS, WORDS, torch, transformers
from tfdl.export import export_huggingface
from tfdl.interop import import_model
from tfdl.runs import load_run

IMAGES = {
    "vit": (lambda: published.vit(), 16),
    "vit-gray": (lambda: published.vit(num_channels=1, qkv_bias=False, hidden_act="gelu_new"), 16),
    "resnet": (lambda: published.resnet(), 32),
    "resnet-basic": (
        lambda: published.resnet(layer_type="basic", hidden_sizes=[4, 6, 6], depths=[1, 2, 1], embedding_size=4), 32
    ),
}  # fmt: skip


def images_of(channels, side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, side, side, channels), np.uint8)


def reference_logits(model, images):
    """Transformers takes float32 (batch, channels, height, width)."""
    with torch.no_grad():
        return model(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))).logits.numpy()


@pytest.mark.parametrize("name", list(IMAGES))
def test_images(name, tmp_path):
    make, side = IMAGES[name]
    reference = make()
    files = tmp_path / "files"
    reference.save_pretrained(files)
    channels = reference.config.num_channels
    if channels == 3:
        published.write_preprocessor(files, side)
    import_model(files, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.task.class_names == ("cat", "dog", "owl")
    images = images_of(channels, side)
    inputs = images / np.float32(255)
    if channels == 3:
        inputs = (inputs - np.float32([0.5, 0.4, 0.3])) / np.float32([0.25, 0.5, 0.75])
    batch = {"image": tf.constant(images)}
    np.testing.assert_allclose(loaded.task.inputs(batch), inputs, rtol=1e-6, atol=1e-6)
    expected = reference_logits(reference, inputs)
    assert np.ptp(expected, axis=0).min() > 0.01  # the pixels matter
    np.testing.assert_allclose(loaded.model(loaded.task.inputs(batch)), expected, rtol=1e-4, atol=1e-4)
    answers = loaded.task.serve(loaded.model, tf.constant(images))
    assert answers["class_id"].numpy().tolist() == expected.argmax(-1).tolist()

    export_huggingface(tmp_path / "run", tmp_path / "back")
    again, info = transformers.AutoModelForImageClassification.from_pretrained(
        tmp_path / "back", output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    np.testing.assert_array_equal(reference_logits(again.eval(), inputs), expected)
    assert again.config.id2label == {0: "cat", 1: "dog", 2: "owl"}
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "back", use_fast=False)
    if channels == 3:
        processed = processor(list(images), return_tensors="np", input_data_format="channels_last")["pixel_values"]
        np.testing.assert_allclose(processed.transpose(0, 2, 3, 1), inputs, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    reference = published.bert()
    reference.save_pretrained(folder / "files")
    published.save_wordpiece(folder / "files")
    import_model(folder / "files", folder / "run")
    return reference, folder / "files", load_run(folder / "run")


TEXTS = ["hello world", "", "We don't know, café!", "x " * 60, "日本 hello"]


def test_texts_as_transformers_classifies_them(bert):
    """Tokenized, cut, padded and scored: the whole way from strings."""
    reference, files, loaded = bert
    tokenizer = transformers.BertTokenizerFast.from_pretrained(files)
    inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=POSITIONS, return_tensors="pt")
    with torch.no_grad():
        expected = reference(**inputs).logits.numpy()
    rows = [tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS]
    assert [loaded.task.tokenizer.encode(text) for text in TEXTS] == rows
    token_ids = tf.ragged.constant(rows, dtype=tf.int32).to_tensor(-1)
    answers = loaded.task.serve(loaded.model, token_ids=token_ids)
    assert loaded.task.class_names == ("bad", "fine", "good")
    assert np.ptp(expected) > 0.5
    probabilities = tf.nn.softmax(expected)
    np.testing.assert_allclose(answers["probabilities"], probabilities, rtol=1e-4, atol=1e-5)
    of_texts = loaded.task.serve(loaded.model, text=tf.constant(TEXTS))
    np.testing.assert_array_equal(of_texts["probabilities"], answers["probabilities"])


def test_segments(bert):
    """Of a pair of texts, as the tokenizer numbers them; and any others."""
    reference, files, loaded = bert
    tokenizer = transformers.BertTokenizerFast.from_pretrained(files)
    pair = tokenizer(["hello", "we know"], ["world text", "a"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = reference(**pair).logits.numpy()
    tokens = pair.input_ids.numpy()
    np.testing.assert_allclose(loaded.model(tokens), expected, rtol=1e-4, atol=1e-4)
    segments = np.random.default_rng(0).integers(0, 2, tokens.shape)
    with torch.no_grad():
        arguments = {**pair, "token_type_ids": torch.from_numpy(segments)}
        expected = reference(**arguments).logits.numpy()
    np.testing.assert_allclose(loaded.model.logits(tokens, segments), expected, rtol=1e-4, atol=1e-4)


def test_bert_there_and_back(bert, tmp_path):
    reference, files, loaded = bert
    export_huggingface(loaded.run, tmp_path / "back")
    again, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "back", output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    before = transformers.BertTokenizerFast.from_pretrained(files)
    after = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    inputs = after(TEXTS, padding=True, truncation=True, max_length=POSITIONS, return_tensors="pt")
    assert inputs.input_ids.tolist() == before(TEXTS, padding=True, truncation=True, max_length=24).input_ids
    with torch.no_grad():
        np.testing.assert_array_equal(again.eval()(**inputs).logits, reference(**inputs).logits)


def test_the_names_of_bert_s_first_files(bert, tmp_path):
    """``gamma`` and ``beta``, and a table of numbers that are no weights."""
    from safetensors.torch import load_file, save_file

    reference, files, _ = bert
    state = load_file(files / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in state.items()
    }
    renamed["bert.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    old = tmp_path / "old"
    published.save_wordpiece(old)
    save_file(renamed, old / "model.safetensors")
    (old / "config.json").write_text((files / "config.json").read_text())
    import_model(old, tmp_path / "run")
    tokens = np.random.default_rng(0).integers(5, len(WORDS), (2, 9))
    with torch.no_grad():
        expected = reference(torch.from_numpy(tokens)).logits.numpy()
    np.testing.assert_allclose(load_run(tmp_path / "run").model(tokens), expected, rtol=1e-4, atol=1e-4)


def test_bert_without_a_classifier(bert, tmp_path):
    """Of a masked language model: the encoder's weights, and a new pooler and head, the same in every import."""
    reference, files, loaded = bert
    config = transformers.BertConfig.from_pretrained(files)
    masked = transformers.BertForMaskedLM(config)
    masked.bert.load_state_dict(reference.bert.state_dict(), strict=False)
    masked.save_pretrained(tmp_path / "files")
    published.save_wordpiece(tmp_path / "files")
    imported = import_model(tmp_path / "files", tmp_path / "run")
    assert imported.notes == (
        "the files have no classifier: pooler and logits have random values, so train the run on your classes first",
    )
    again = import_model(tmp_path / "files", tmp_path / "again").run
    models = [load_run(run).model for run in (imported.run, again)]
    for ours, twice, trained in zip(models[0].weights, models[1].weights, loaded.model.weights, strict=True):
        np.testing.assert_array_equal(ours, twice)
        is_new = ours.path.startswith(("pooler/kernel", "logits/kernel"))
        if not ours.path.startswith(("pooler/", "logits/")) or is_new:
            assert bool((np.asarray(ours) == np.asarray(trained)).all()) is not is_new, ours.path


def test_classes_of_one_name(tmp_path):
    """As ImageNet has them: their numbers tell them apart."""
    labels = {"id2label": {0: "crane", 1: "dog", 2: "crane"}}
    published.vit(**labels).save_pretrained(tmp_path / "files")
    run = import_model(tmp_path / "files", tmp_path / "run").run
    assert load_run(run).task.class_names == ("crane (0)", "dog", "crane (2)")


class Bottleneck(torch.nn.Module):
    """A block with torchvision's names."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        nn = torch.nn
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            shortcut = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(y + shortcut)


class ResNet50(torch.nn.Module):
    """The network as torchvision names and computes it (v1.5: the stride is in the 3x3 convolution)."""

    def __init__(self, num_classes):
        super().__init__()
        nn = torch.nn
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for number, (count, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
            blocks = []
            for block in range(count):
                stride = 2 if number > 1 and block == 0 else 1
                blocks.append(Bottleneck(inputs, width, stride))
                inputs = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def test_resnet50_with_torchvision_s_names(tmp_path):
    from safetensors.torch import save_file

    reference = published.randomize(ResNet50(5))
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            if name.endswith("bn3.weight"):
                weight.mul_(0.1)  # otherwise 16 blocks with random weights make huge numbers
    save_file(reference.state_dict(), tmp_path / "model.safetensors")
    config = {"architecture": "resnet50", "num_classes": 5, "pretrained_cfg": {"input_size": [3, 64, 48]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    import_model(tmp_path, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.config.model.preset == "resnet50"
    images = np.random.default_rng(0).normal(size=(2, 64, 48, 3)).astype(np.float32)
    with torch.no_grad():
        expected = reference(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(loaded.model(images) / scale, expected / scale, rtol=0, atol=1e-5)
