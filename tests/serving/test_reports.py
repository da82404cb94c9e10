"""What a server says about its models is what TensorFlow Serving's own messages say."""

import json

import pytest
import tensorflow as tf
from google.protobuf import json_format

from tests.serving.conftest import write_saved_model
from tfdl.serving.saved_model_file import read_meta_graph

pytest.importorskip("tensorflow_serving", reason="needs tensorflow-serving-api")
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2


@tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x"), tf.TensorSpec([], tf.int64, name="k")])
def scaled(x, k):
    return {"y": x * tf.cast(k, tf.float32), "name_bytes": tf.fill([tf.shape(x)[0]], b"\xff")}


@pytest.fixture(scope="module")
def client(tmp_path_factory, serving):
    folder = write_saved_model(tmp_path_factory.mktemp("versions") / "toy" / "12", {"serving_default": scaled})
    with serving(folder.parent) as client:
        client.folder = folder
        yield client


def test_status(client):
    for path in ("/v1/models/toy", "/v1/models/toy/versions/12"):
        _, answer = client.get(path)
        message = json_format.Parse(json.dumps(answer), get_model_status_pb2.GetModelStatusResponse())
        (state,) = message.model_version_status
        assert (state.version, state.state) == (12, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        assert (state.status.error_code, state.status.error_message) == (0, "")
    assert client.get("/v1/models/toy/versions/3")[0] == 404


def test_metadata(client):
    _, answer = client.get("/v1/models/toy/metadata")
    message = json_format.Parse(json.dumps(answer), get_model_metadata_pb2.GetModelMetadataResponse())
    assert (message.model_spec.name, message.model_spec.version.value) == ("toy", 12)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert message.metadata["signature_def"].Unpack(signatures)
    expected = read_meta_graph(client.folder).signature_def["serving_default"]
    found = signatures.signature_def["serving_default"]
    assert found.method_name == expected.method_name
    for ours, theirs in ((found.inputs, expected.inputs), (found.outputs, expected.outputs)):
        assert ours.keys() == theirs.keys()
        for name, info in theirs.items():
            assert ours[name].dtype == info.dtype
            assert ours[name].name == info.name
            assert ours[name].tensor_shape == info.tensor_shape


def test_requests_as_users_write_them(client):
    """As the examples of TensorFlow Serving's documentation."""
    body = {"signature_name": "serving_default", "inputs": {"x": [[1, 2], [3, 4]], "k": 2}}
    for headers in ({"content-type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        status, content, found = client.send("POST", "/v1/models/toy:predict", json.dumps(body), headers)
        assert (status, found["content-type"]) == (200, "application/json")
        assert json.loads(content) == {
            "outputs": {"y": [[2.0, 4.0], [6.0, 8.0]], "name_bytes": [{"b64": "/w=="}, {"b64": "/w=="}]}
        }


def test_the_list_of_models(client):
    _, answer = client.get("/v1/models")
    (model,) = answer["models"]
    assert (model["name"], model["version"], model["versions"]) == ("toy", 12, [12])
    assert model["description"]["task"] == "toy"
    assert model["signatures"]["serving_default"]["inputs"]["x"] == {"dtype": "float32", "shape": [None, 2]}
    assert (model["writes_texts"], model["streams"]) == (False, False)
