"""A SavedModel that could do more than compute is not loaded without --trust."""

import shutil

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tests.serving.conftest import write_saved_model
from tests.serving.exported_operations import IMAGE_MODELS, LANGUAGE_MODELS, exported_operations
from tfdl.errors import UserError
from tfdl.serving.operations import COMPUTING, READING_AND_WRITING_WEIGHTS
from tfdl.serving.saved_model_program import load_saved_model_program

STRINGS = [tf.TensorSpec([None], tf.string, name="text")]


@tf.function(input_signature=STRINGS)
def lengths(text):
    return {"length": tf.strings.length(text)}


@tf.function(input_signature=STRINGS)
def contents(text):
    return {"contents": tf.map_fn(tf.io.read_file, text)}


@tf.function(input_signature=STRINGS)
def written(text):
    with tf.control_dependencies([tf.io.write_file("/tmp/never-written", text[0])]):
        return {"text": tf.identity(text)}


@tf.function(input_signature=STRINGS)
def printed(text):
    tf.print(text)
    return {"text": tf.identity(text)}


@tf.function(input_signature=STRINGS)
def computed(text):
    return {"text": tf.numpy_function(lambda value: value, [text], tf.string)}


@tf.function(input_signature=STRINGS)
def saved(text):
    with tf.control_dependencies(
        [tf.raw_ops.SaveV2(prefix=text[0], tensor_names=["a"], shape_and_slices=[""], tensors=[text])]
    ):
        return {"text": tf.identity(text)}  # fmt: skip


def refused(folder):
    with pytest.raises(UserError) as raised:
        load_saved_model_program(folder, trust=False)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_harmless_one(tmp_path):
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})
    assert list(load_saved_model_program(folder, trust=False).signatures) == ["serving_default"]


def test_a_stranger_s(tmp_path):
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})
    shutil.rmtree(folder / "assets.extra")
    assert "was not written by tfdl (no assets.extra/tfdl.json)" in refused(folder)
    assert load_saved_model_program(folder, trust=True).description == {}


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (contents, "ReadFile"),
        (written, "WriteFile"),
        (printed, "PrintV2, StringFormat"),
        (computed, "PyFunc"),
        (saved, "SaveV2"),
    ],
    ids=["read", "write", "print", "python", "save"],
)
def test_operations_that_do_more_than_compute(tmp_path, function, operation):
    """Although they say that tfdl wrote them."""
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths, "other": function})
    message = refused(folder)
    assert f"has operations that are not known to be harmless: {operation};" in message
    assert "serve it with --trust only if you know who made it" in message


def test_an_asset_file(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    module = tf.Module()
    module.asset = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths}, owner=module)
    assert "has asset files" in refused(folder)


def test_a_function_that_is_called_like_an_operation(tmp_path):
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].graph_def.library.function.add().signature.name = "ReadFile"
    model.meta_graphs[0].graph_def.node.add(name="x", op="ReadFile")
    path.write_bytes(model.SerializeToString())
    assert "harmless: ReadFile" in refused(folder)


def changed(folder, change):
    """Changes the meta graph of a SavedModel."""
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    change(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())


def add_saving_function(meta_graph, name, file):
    """A function without arguments that writes a file by ``SaveV2``."""
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = name
    function.signature.is_stateful = True
    for node_name, value in (("path", str(file)), ("names", ["secret"]), ("slices", [""])):
        node = function.node_def.add(name=node_name, op="Const")
        node.attr["dtype"].type = tf.string.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.string))
    node = function.node_def.add(name="save", op="SaveV2")
    node.input.extend(["path:output:0", "names:output:0", "slices:output:0", "path:output:0"])
    node.attr["dtypes"].list.type.append(tf.string.as_datatype_enum)
    function.control_ret["save"] = "save"
    function.signature.control_output.append("save")


def with_table(folder):
    """A SavedModel with a table, which TensorFlow initializes by a function when it loads the model."""
    module = tf.Module()
    values = tf.lookup.KeyValueTensorInitializer(tf.constant(["a"]), tf.constant([1]))
    module.table = tf.lookup.StaticHashTable(values, 0)
    function = tf.function(lambda text: {"number": module.table.lookup(text)}, input_signature=STRINGS)
    return write_saved_model(folder, {"serving_default": function}, owner=module)


def test_a_table_whose_initializer_saves(tmp_path):
    """No signature calls the function: a node of the object graph names it."""
    folder = with_table(tmp_path / "1")
    assert list(load_saved_model_program(folder, trust=False).signatures) == ["serving_default"]

    def change(meta_graph):
        add_saving_function(meta_graph, "evil_1", tmp_path / "written")
        nodes = meta_graph.object_graph_def.nodes
        (table,) = (node for node in nodes if node.WhichOneof("kind") == "resource")
        (reference,) = (child for child in table.children if child.local_name == "_initialize")
        reference.node_id = len(nodes)
        nodes.add().bare_concrete_function.concrete_function_name = "evil_1"

    changed(folder, change)
    assert "harmless: SaveV2;" in refused(folder)
    assert not list(tmp_path.glob("written*"))
    load_saved_model_program(folder, trust=True)
    assert list(tmp_path.glob("written*"))  # so the function is one that runs


@pytest.mark.parametrize("place", ["function", "concrete_functions", "inner", "gradient", "registered"])
def test_other_places_that_name_a_function_that_saves(tmp_path, place):
    folder = with_table(tmp_path / "1")

    def change(meta_graph):
        add_saving_function(meta_graph, "evil_1", tmp_path / "written")
        objects, library = meta_graph.object_graph_def, meta_graph.graph_def.library
        computing = next(function for function in library.function if "_traced_" not in function.signature.name)
        if place == "function":
            objects.nodes.add().function.concrete_functions.append("evil_1")
        elif place == "concrete_functions":
            objects.concrete_functions["evil_1"].bound_inputs.extend([])
        elif place == "inner":
            node = computing.node_def.add(name="x", op="PartitionedCall")
            node.attr["f"].func.name = computing.signature.name
            node.attr["f"].func.attr["g"].func.name = "evil_1"
        elif place == "gradient":
            library.gradient.add(function_name=computing.signature.name, gradient_func="evil_1")
        else:
            library.registered_gradients.add(gradient_func="evil_1", registered_op_type="Add")

    changed(folder, change)
    assert "harmless: SaveV2;" in refused(folder)


@pytest.mark.parametrize("place", ["implements", "placeholder", "inner"])
def test_functions_that_others_may_replace(tmp_path, place):
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})

    def change(meta_graph):
        function = meta_graph.graph_def.library.function[0]
        if place == "implements":
            function.attr["api_implements"].s = b"x"
        elif place == "placeholder":
            function.node_def[0].attr["f"].placeholder = "f"
        else:
            function.node_def[0].attr["f"].func.attr["g"].placeholder = "f"

    changed(folder, change)
    assert "has functions that others may replace" in refused(folder)


def test_several_graphs(tmp_path):
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    model.meta_graphs.add().CopyFrom(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())
    assert "has 2 graphs, expected one" in refused(folder)


def test_a_model_of_tensorflow_1(tmp_path):
    """It has no objects, so TensorFlow would run its graph's own nodes."""
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})
    path = folder / "saved_model.pb"
    model = SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].ClearField("object_graph_def")
    path.write_bytes(model.SerializeToString())
    assert "was not written by tfdl" in refused(folder)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"no model", "is damaged: it is not a SavedModel"),
        (b"", "has no graph with the tag 'serve'"),
        (b"\x0a" * 10_000, "is damaged"),
    ],
)
def test_a_broken_file(tmp_path, contents, message):
    (tmp_path / "saved_model.pb").write_bytes(contents)
    assert message in refused(tmp_path)


def test_files_that_are_missing(tmp_path):
    module = tf.Module()
    module.variable = tf.Variable([1.0])
    adding = tf.function(lambda x: {"y": x + module.variable}, input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    folder = write_saved_model(tmp_path / "1", {"serving_default": adding}, owner=module)
    shutil.rmtree(folder / "variables")
    assert "cannot be loaded" in refused(folder)
    (folder / "saved_model.pb").unlink()
    assert "cannot be read (No such file or directory)" in refused(folder)


def test_no_signature(tmp_path):
    assert "has no signature" in refused(write_saved_model(tmp_path / "1", {}))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"task": 1}',
        '{"task": "x", "class_names": 1}',
        "[" * 100_000,
        '{"task": "x\\u001b[2J"}',
        '{"task": "x", "model": 1}',
        '{"task": "x", "image_shape": 8}',
        '{"task": "x", "image_shape": [8, 8]}',
        '{"task": "x", "image_shape": [1000000, 1000000, 3]}',
        '{"task": "x", "image_shape": [8, 8, true]}',
    ],
)
def test_a_broken_description(tmp_path, text):
    folder = write_saved_model(tmp_path / "1", {"serving_default": lengths})
    (folder / "assets.extra" / "tfdl.json").write_text(text)
    assert "tfdl.json" in refused(folder)


@pytest.mark.slow
def test_the_lists_have_what_exports_have(tmp_path):
    """A small model of each kind; tests/soak has all of them."""
    found = exported_operations(tmp_path, images=IMAGE_MODELS[:1], languages=LANGUAGE_MODELS[3:4], texts=(), beams=())
    assert found - COMPUTING - READING_AND_WRITING_WEIGHTS == set()


def test_the_lists_have_what_layers_of_keras_have():
    layers = keras.layers
    image = keras.Input((8, 8, 4))
    features = layers.DepthwiseConv2D(3, activation="elu")(image)
    features = layers.Conv2DTranspose(4, 3, activation="leaky_relu")(features)
    features = layers.GroupNormalization(2)(layers.UpSampling2D(interpolation="bilinear")(features))
    features = layers.Add()([layers.AveragePooling2D(2)(features), layers.ZeroPadding2D(0)(image)])
    features = layers.SeparableConv2D(4, 3, activation="softplus")(layers.Cropping2D(1)(features))
    features = layers.Multiply()([features, layers.PReLU(shared_axes=[1, 2])(features)])
    features = layers.MultiHeadAttention(2, 4)(*[layers.Reshape((-1, 4))(features)] * 2)
    features = layers.GRU(4)(layers.LSTM(4, return_sequences=True)(layers.Conv1D(4, 3, activation="selu")(features)))
    features = layers.UnitNormalization()(layers.Dense(4, activation="softsign")(features))
    model = keras.Model(image, layers.Dense(2, activation="tanh")(features))
    function = tf.function(model, autograph=False).get_concrete_function(tf.TensorSpec([None, 8, 8, 4]))
    definition = function.graph.as_graph_def()
    found = {node.op for node in definition.node}
    found |= {node.op for function in definition.library.function for node in function.node_def}
    found -= {function.signature.name for function in definition.library.function}
    assert found - COMPUTING == set()


def test_the_lists_have_nothing_that_reads_or_writes_files():
    """By the names that TensorFlow gives to such operations."""
    words = ("File", "PyFunc", "Print", "Reader", "Dataset", "Summary", "Socket", "Rpc", "Send", "Recv", "Load", "Dump")
    assert [name for name in COMPUTING for word in words if word in name] == []
    assert set() == READING_AND_WRITING_WEIGHTS & COMPUTING
    assert [name for name in COMPUTING | READING_AND_WRITING_WEIGHTS if not hasattr(tf.raw_ops, name)] == []
