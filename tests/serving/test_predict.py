"""Answers of a server are those of the SavedModel, whatever form a request has."""

import base64
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfdl
from tfdl.runs import load_run
from tfdl.tasks.image_serving import example


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    return tfdl.export_saved_model(trained_run, tmp_path_factory.mktemp("exported") / "digits").path


@pytest.fixture(scope="module")
def reference(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.fixture(scope="module")
def client(exported, trained_run, serving):
    with serving(f"digits={exported.parent}", f"run={trained_run.path}") as client:
        yield client


@pytest.fixture(scope="module")
def files(trained_run):
    return load_run(trained_run).task.signatures()["encoded"].sample(5)["image_bytes"].tolist()


MODELS = ["digits", "run"]


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def assert_rows(predictions, expected):
    assert [row["class_name"].encode() for row in predictions] == expected["class_name"].numpy().tolist()
    assert [row["class_id"] for row in predictions] == expected["class_id"].numpy().tolist()
    np.testing.assert_allclose([row["probabilities"] for row in predictions], expected["probabilities"], atol=1e-5)


def test_a_run_and_its_export_list_the_default_signature_first(client):
    """A client that takes the first one, as the page once did, gets the one that needs no name."""
    _, answer = client.get("/v1/models")
    signatures = [list(model["signatures"]) for model in answer["models"]]
    assert signatures == 2 * [["serving_default", "classify", "encoded", "examples"]]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [1, 3, 70])
def test_pixels_in_rows(client, reference, model, count):
    """70 images are more than a call takes."""
    images = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 1), np.uint8)
    answer = client.ask(model, {"instances": images.tolist()})
    assert_rows(answer["predictions"], reference["serving_default"](image=tf.constant(images)))


def test_named_inputs_and_columns(client, reference):
    images = np.random.default_rng(7).integers(0, 256, (2, 8, 8, 1), np.uint8)
    plain = client.ask("digits", {"instances": images.tolist()})
    assert client.ask("digits", {"instances": [{"image": image} for image in images.tolist()]}) == plain
    columns = client.ask("digits", {"signature_name": "", "inputs": {"image": images.tolist()}})
    assert columns == client.ask("digits", {"inputs": images.tolist()})
    assert columns["outputs"]["class_id"] == [row["class_id"] for row in plain["predictions"]]
    expected = reference["serving_default"](image=tf.constant(images))
    np.testing.assert_allclose(columns["outputs"]["probabilities"], expected["probabilities"], atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_files(client, reference, files, model):
    answer = client.ask(model, {"signature_name": "encoded", "instances": [b64(data) for data in files]})
    assert_rows(answer["predictions"], reference["encoded"](image_bytes=tf.constant(files)))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", [{}, {"signature_name": "classify"}])
def test_classify(client, reference, files, model, name):
    examples = [{"image": b64(data)} for data in files]
    answer = client.ask(model, {**name, "examples": examples}, "classify")
    expected = reference["encoded"](image_bytes=tf.constant(files))["probabilities"]
    assert [[label for label, _ in row] for row in answer["results"]] == [list("0123456789")] * len(files)
    np.testing.assert_allclose([[score for _, score in row] for row in answer["results"]], expected, atol=1e-5)


def test_a_context_has_features_of_all_examples(client, files):
    alone = client.ask("digits", {"examples": [{"image": b64(files[0])}]}, "classify")
    assert client.ask("digits", {"context": {"image": b64(files[0])}, "examples": [{}]}, "classify") == alone


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"examples": []}, 'expected "examples", an array of at least one object'),
        ({"examples": ["x"]}, "example 0 is string, expected an object of features"),
        ({"examples": [{"image": [1, "x"]}]}, "expected strings, whole numbers of 64 bits, or decimals"),
        ({"examples": [{"image": {"b64": "?"}}]}, "value of b64 that is not Base64"),
        ({"examples": [{"image": 1.5}]}, "an example has the feature 'image' of the type float, expected string"),
        (
            {"examples": [{}]},
            "the model cannot use these inputs: an example has no feature 'image', expected one (string)",
        ),
        ({"examples": [{"image": "x"}], "context": {"image": "y"}}, 'both have the feature "image"'),
        ({"examples": [{"image": 2**64}]}, "expected strings, whole numbers of 64 bits"),
        ({"examples": [{"\ud800": "x"}]}, 'example 0: feature "\\ud800" has half of a surrogate pair'),
        ({"examples": [{"image": "x"}], "signature_name": "encoded"}, "has the method 'tensorflow/serving/predict'"),
    ],
)
def test_what_classify_refuses(client, body, message):
    assert message in client.error("/v1/models/digits:classify", body)


def test_a_broken_file_is_named(client, files):
    message = client.error(
        "/v1/models/digits:predict", {"signature_name": "encoded", "instances": [b64(files[0]), "no image"]}
    )
    assert message.startswith("the model cannot use these inputs: not JPEG or PNG files, by their numbers from 0: ")
    cut = [b64(data[: len(data) // 2]) for data in files[:2]]
    assert "the model cannot use" in client.error(
        "/v1/models/digits:predict", {"signature_name": "encoded", "instances": cut}
    )


def large_file(kind, side):
    """A small file whose header promises many pixels."""
    stream = io.BytesIO()
    Image.new("L", (40, 30)).save(stream, kind)
    data = stream.getvalue()
    sizes = ((30).to_bytes(2), (40).to_bytes(2)) if kind == "JPEG" else ((40).to_bytes(4), (30).to_bytes(4))
    size = b"".join(sizes)
    assert data.count(size) == 1
    return data.replace(size, b"".join(side.to_bytes(len(part)) for part in sizes))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images_of_very_many_pixels(client, kind):
    """They are refused before they are decoded, in all forms of requests."""
    data = large_file(kind, 9000)
    message = "the images have 81,000,000 pixels together, expected at most 67,108,864 in one request"
    path = "/v1/models/digits:predict"
    assert client.error(path, {"signature_name": "encoded", "instances": [b64(data)]}) == message
    assert client.error(path, {"signature_name": "examples", "instances": [b64(example(data))]}) == message
    assert client.error("/v1/models/digits:classify", {"examples": [{"image": b64(data)}]}) == message
    several = [b64(large_file(kind, 5000))] * 3
    assert "the images have 75,000,000 pixels together" in client.error(
        path, {"signature_name": "encoded", "instances": several}
    )
    segments = data[:2] + b"\xff\xd0" * 10_000 + data[2:]
    if kind == "JPEG":
        assert "more than 10000 segments" in client.error(
            path, {"signature_name": "encoded", "instances": [b64(data[:3] + segments)]}
        )


def test_versions_in_addresses(client):
    body = {"inputs": {"image": []}}
    assert client.error("/v1/models/digits/versions/1:predict", body).startswith("input 'image' has a list of 0 values")
    assert "has no version 2; loaded: 1" in client.error("/v1/models/digits/versions/2:predict", body, 404)
    assert "there is no model 'x', expected one of digits, run" in client.error("/v1/models/x:predict", body, 404)
    assert "versions have no labels" in client.error("/v1/models/digits/labels/stable:predict", body, 404)
    assert "no model of tfdl has a signature for regress" in client.error("/v1/models/digits:regress", body, 404)
    assert 'has no signature "no", expected one of serving_default, classify' in client.error(
        "/v1/models/digits:predict", {"signature_name": "no"}
    )


def test_a_model_that_writes_no_texts(client):
    for model in MODELS:
        assert "writes no texts" in client.error(f"/v1/models/{model}:generate", {"text": "a"})
