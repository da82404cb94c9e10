"""A C program asks an exported SavedModel through the library that TensorFlow's own wheel has."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import tfdl

SOURCE = Path(__file__).parent / "ask_saved_model.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The compiled program."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    binary = tmp_path_factory.mktemp("c") / "ask_saved_model"
    library = tf.sysconfig.get_lib()
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    command = [compiler, "-Wall", "-Werror", "-I", tf.sysconfig.get_include(), str(SOURCE), "-o", str(binary)]
    subprocess.run([*command, "-L", library, *libraries, f"-Wl,-rpath,{library}"], check=True)
    return binary


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    return tfdl.export_saved_model(trained_run, tmp_path_factory.mktemp("exported") / "digits").path


def ask(program, folder, image, output, pixels=None):
    """The finished program, asked with images uint8 ``(b, h, w, c)``."""
    words = [str(program), str(folder), "serving_default_image", output, *map(str, image.shape)]
    return subprocess.run(words, input=image.tobytes() if pixels is None else pixels, capture_output=True, check=False)


def output_of(folder, name):
    """The operation that answers ``name``, as the SavedModel itself names it."""
    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].signature_def["serving_default"].outputs[name].name


@pytest.mark.parametrize("count", [1, 70])
def test_it_gets_the_answers_of_python(program, exported, count):
    image = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 1), np.uint8)
    done = ask(program, exported, image, output_of(exported, "probabilities"))
    assert done.returncode == 0, done.stderr
    found = np.array([line.split() for line in done.stdout.splitlines()], np.float32)
    served = tf.saved_model.load(str(exported)).signatures["serving_default"]
    np.testing.assert_allclose(found, served(image=tf.constant(image))["probabilities"], atol=1e-6)


def test_the_operation_of_the_documentation(exported):
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"ask_saved_model \S+ serving_default_image (\S+) 1 8 8 1", page)
    assert shown == output_of(exported, "probabilities")


def test_it_says_what_is_wrong(program, exported, tmp_path):
    image = np.zeros((1, 8, 8, 1), np.uint8)
    output = output_of(exported, "probabilities")
    assert b"expected 64 pixels" in ask(program, exported, image, output, b"few").stderr
    assert b"the graph has no operation Softmax9" in ask(program, exported, image, "Softmax9").stderr
    missing = ask(program, tmp_path / "missing", image, output)
    assert missing.returncode == 1
    assert b"load: Could not find SavedModel" in missing.stderr
