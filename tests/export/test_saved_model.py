"""What ``tfdl.export_saved_model`` writes answers as the model does, or is not written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import tfdl
from tests.export.conftest import answers_of_saved_model
from tfdl.distributed import SingleWorld
from tfdl.distributed.world import set_current_world
from tfdl.errors import RunError, UserError
from tfdl.export import differences, parity, saved_model, versions
from tfdl.runs import load_run
from tfdl.tasks import ImageClassification
from tfdl.tasks.image_serving import example


@pytest.fixture(scope="module")
def exported(trained_run, tmp_path_factory):
    return tfdl.export_saved_model(trained_run, tmp_path_factory.mktemp("exported") / "digits")


@pytest.fixture
def serve(exported):
    module = tf.saved_model.load(str(exported.path))
    return lambda image: module.signatures["serving_default"](image=tf.constant(image))


SERVE = ImageClassification.serve
VERSION_FOLDER = versions.version_folder


def images(count, height=8, width=8):
    return np.random.default_rng(5).integers(0, 256, (count, height, width, 1), np.uint8)


def test_the_signature(exported):
    assert exported.inputs == {"image": ("uint8", "(any, any, any, 1)")}
    assert exported.outputs == {
        "probabilities": ("float32", "(any, 10)"),
        "class_id": ("int32", "(any)"),
        "class_name": ("string", "(any)"),
    }


def test_it_was_compared_with_the_model(exported):
    assert exported.notes == ()
    assert exported.compared == 4 * 64  # of each signature
    assert 0 <= exported.largest_difference <= 1e-4


@pytest.mark.parametrize("count", [1, 3, 70])
def test_any_number_of_raw_images(serve, trained_run, count):
    answers = serve(images(count))
    logits = load_run(trained_run).model(images(count) / np.float32(255))
    np.testing.assert_allclose(answers["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    np.testing.assert_array_equal(answers["class_id"], np.argmax(logits, 1))
    assert answers["class_name"].numpy().tolist() == [str(label).encode() for label in np.argmax(logits, 1)]


def test_images_of_another_size_are_resized(serve):
    assert serve(images(2, 31, 17))["probabilities"].shape == (2, 10)


def test_no_images(serve):
    assert serve(images(0))["probabilities"].shape == (0, 10)


def test_no_images_for_the_default_model():
    """Its convolutions are of a size for which oneDNN answers an empty batch with the wrong shape."""
    task = ImageClassification((24, 24, 1), tuple("0123456789"), resized=True)
    model = tfdl.build_model("cnn", **task.model_arguments)
    serve = tf.function(lambda image: task.serve(model, image), input_signature=[*task.serving_signature().values()])
    assert serve(np.zeros((0, 8, 8, 1), np.uint8))["probabilities"].shape == (0, 10)
    assert serve(np.zeros((2, 8, 8, 1), np.uint8))["class_id"].shape == (2,)


def test_the_graph_holds_no_foreign_op(exported):
    graph = (exported.path / "saved_model.pb").read_bytes()
    for name in (b"Horovod", b"PyFunc", b"EagerPyFunc"):
        assert name not in graph


@pytest.mark.usefixtures("quickly")
def test_versions_count_up(trained_run, tmp_path):
    (tmp_path / "9").mkdir()
    (tmp_path / "10").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert tfdl.export_saved_model(trained_run, tmp_path, "best").path == tmp_path / "11"
    assert tfdl.export_saved_model(trained_run, tmp_path, overwrite=True).path == tmp_path / "11"
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("quickly")
def test_the_newest_version_is_overwritten(trained_run, tmp_path):
    assert tfdl.export_saved_model(trained_run, tmp_path, overwrite=True).path == tmp_path / "1"
    (tmp_path / "1" / "variables" / "variables.index").unlink()
    assert tfdl.export_saved_model(trained_run, tmp_path, "best", overwrite=True).path == tmp_path / "1"
    assert (tmp_path / "1" / "variables" / "variables.index").is_file()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"7' is no SavedModel, expected an earlier export to overwrite"):
        tfdl.export_saved_model(trained_run, tmp_path, overwrite=True)
    assert (tmp_path / "7" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "assets.extra/tf_serving_warmup_requests", "variables/mine"])
def test_a_version_with_a_file_of_somebody_else_is_kept(exported, trained_run, tmp_path, name):
    shutil.copytree(exported.path, tmp_path / "out" / "3")
    path = tmp_path / "out" / "3" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UserError, match="which an export does not write; move it, or leave out --overwrite"):
        tfdl.export_saved_model(trained_run, tmp_path / "out", overwrite=True)
    assert path.read_text() == "mine"


@pytest.mark.usefixtures("quickly")
def test_the_path_that_an_export_printed_is_no_directory_of_versions(exported, trained_run, tmp_path):
    message = "is one version of a SavedModel, expected the directory of its versions, '.*digits'"
    for overwrite in (False, True):
        with pytest.raises(UserError, match=message):
            tfdl.export_saved_model(trained_run, exported.path, overwrite=overwrite)
    with pytest.raises(UserError, match="is a run, expected a directory for the exported versions"):
        tfdl.export_saved_model(trained_run, trained_run.path)
    for name in ("tfdl.json", "model.safetensors"):
        other = tmp_path / name.replace(".", "_")
        other.mkdir()
        (other / name).touch()
        with pytest.raises(UserError, match="is an export of another format"):
            tfdl.export_saved_model(trained_run, other)
    assert [path.name for path in exported.path.parent.iterdir()] == ["1"]


@pytest.mark.usefixtures("quickly")
def test_a_number_that_another_export_takes_meanwhile(trained_run, tmp_path, monkeypatch):
    """The later one gets the next number: an export may have taken long."""

    def answers(folder, inputs):
        for number in ("1", "2"):
            (tmp_path / "out" / number).mkdir()
            (tmp_path / "out" / number / "saved_model.pb").touch()
        return answers_of_saved_model(folder, inputs)

    monkeypatch.setattr(saved_model, "answers_of_saved_model", answers)
    written = tfdl.export_saved_model(trained_run, tmp_path / "out")
    assert written.path == tmp_path / "out" / "3"
    assert (written.path / "saved_model.pb").stat().st_size
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1", "2", "3"]


def test_a_number_that_is_taken_between_looking_and_renaming(tmp_path, monkeypatch):
    found = []

    def version_folder(directory, overwrite):
        found.append(VERSION_FOLDER(directory, overwrite))
        if len(found) == 2:  # the first look is at the start of the work
            found[-1].mkdir()
            (found[-1] / "saved_model.pb").touch()
        return found[-1]

    monkeypatch.setattr(versions, "version_folder", version_folder)
    with versions.new_version(tmp_path, overwrite=False) as version:
        (version.unfinished / "file").touch()
    assert version.path == tmp_path / "2"
    assert (tmp_path / "2" / "file").is_file()


@pytest.mark.usefixtures("quickly")
def test_odd_names_beside_the_versions(trained_run, exported, tmp_path):
    (tmp_path / "\N{SUPERSCRIPT TWO}").mkdir()
    shutil.copytree(exported.path, tmp_path / "007")
    assert tfdl.export_saved_model(trained_run, tmp_path, overwrite=True).path == tmp_path / "007"
    (tmp_path / "9").symlink_to(tmp_path / "007")
    with pytest.raises(UserError, match="9' is no SavedModel"):
        tfdl.export_saved_model(trained_run, tmp_path, overwrite=True)


def test_files_get_the_answers_of_predictions(exported, trained_run, tmp_path):
    """JPEG and PNG files of many sizes, some of them turned."""
    data = load_run(trained_run).task.signatures()["encoded"].sample(12)["image_bytes"].tolist()
    paths = [tmp_path / f"{number:02}" for number in range(len(data))]
    for path, contents in zip(paths, data, strict=True):
        path.with_suffix(".png").write_bytes(contents)
    expected = [answer["class_name"] for answer in tfdl.load(trained_run).predict([str(tmp_path)])]
    assert len(set(expected)) > 1
    signatures = tf.saved_model.load(str(exported.path)).signatures
    examples = [example(contents) for contents in data]
    found = {
        "encoded": signatures["encoded"](image_bytes=tf.constant(data)),
        "examples": signatures["examples"](examples=tf.constant(examples)),
    }
    for answers in found.values():
        assert [name.decode() for name in answers["class_name"].numpy()] == expected


def test_it_says_what_it_is(exported):
    """For programs that show it; TensorFlow Serving does not read this folder."""
    description = json.loads((exported.path / "assets.extra" / "tfdl.json").read_text(encoding="utf-8"))
    assert description == {
        "tfdl_version": tfdl.__version__,
        "task": "image-classification",
        "model": "cnn",
        "image_shape": [8, 8, 1],
        "resized": True,
        "class_names": list("0123456789"),
        "dataset": "digits",
    }


def test_the_signature_of_classify(exported, trained_run):
    """TensorFlow Serving calls it by the name of its method, which tf.saved_model.save does not write."""
    saved_model = SavedModel.FromString((exported.path / "saved_model.pb").read_bytes())
    methods = {name: definition.method_name for name, definition in saved_model.meta_graphs[0].signature_def.items()}
    assert methods["classify"] == "tensorflow/serving/classify"
    assert methods["serving_default"] == "tensorflow/serving/predict"
    served = tf.saved_model.load(str(exported.path)).signatures
    files = load_run(trained_run).task.signatures()["encoded"].sample(3)["image_bytes"].tolist()
    data = [example(contents) for contents in files]
    answers = served["classify"](inputs=tf.constant(data))
    assert answers["classes"].numpy().tolist() == [[b"%d" % number for number in range(10)]] * 3
    np.testing.assert_array_equal(answers["scores"], served["examples"](examples=tf.constant(data))["probabilities"])


def test_a_file_is_no_directory(trained_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file, expected a directory for the exported versions"):
        tfdl.export_saved_model(trained_run, tmp_path / "file")


# A SavedModel that does not answer as the model does


def answers_of(function, arguments):
    outputs = function(**{name: tf.constant(value) for name, value in arguments.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def assert_not_written(trained_run, folder, message):
    folder.mkdir()
    with pytest.raises(RunError, match=message):
        tfdl.export_saved_model(trained_run, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("quickly")
def test_too_large_a_difference(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(differences, "TOLERANCE", -1.0)
    assert_not_written(
        trained_run, tmp_path / "out", "the SavedModel differs from the model by .*; nothing was written"
    )


@pytest.mark.parametrize(
    ("signature", "output", "change"),
    [
        ("serving_default", "probabilities", lambda values: values + np.float32(0.01)),
        ("encoded", "probabilities", lambda values: values * np.float32("nan")),
        ("examples", "probabilities", lambda values: values[:-1]),
        ("serving_default", "class_id", lambda values: (values + 1) % 10),
        ("encoded", "class_name", lambda values: values[::-1]),
    ],
    ids=["numbers", "nan", "shape", "class_id", "class_name"],
)
def test_each_output_is_compared(trained_run, tmp_path, monkeypatch, signature, output, change):
    def altered(folder, inputs):
        served = tf.saved_model.load(str(folder)).signatures  # in this process, which is quicker
        answers = {case: answers_of(served[parity.signature_of(case)], named) for case, named in inputs.items()}
        answers[signature][output] = change(answers[signature][output])
        return answers

    monkeypatch.setattr(saved_model, "answers_of_saved_model", altered)
    assert_not_written(trained_run, tmp_path / "out", "the SavedModel differs from the model")


def test_a_saved_model_that_cannot_be_loaded(tmp_path):
    message = "the SavedModel cannot be used in a clean process: OSError: SavedModel file does not exist at"
    with pytest.raises(RunError, match=message):
        parity.answers_of_saved_model(tmp_path, {"serving_default": {"image": images(1)}})


def test_an_error_of_a_graph(tmp_path):
    """The line with the cause, not the last one, which names a place in the graph."""

    class Checked(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
        def __call__(self, x):
            tf.debugging.Assert(tf.reduce_all(x > 0), ["x: expected above 0, not", x])
            return {"y": x}

    module = Checked()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    with pytest.raises(RunError, match=r"clean process: InvalidArgumentError: .*x: expected above 0, not"):
        parity.answers_of_saved_model(tmp_path, {"serving_default": {"x": np.array([-1], np.float32)}})


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("import os; os.abort()", "ended by SIGABRT"),
        ("sys.exit(3)", "exit code 3"),
        ("sys.exit('why')", "why"),
        ("raise ValueError('why\\nwhere')", "ValueError: why"),
    ],
)
def test_a_process_that_fails(program, cause):
    with pytest.raises(RunError, match=f"the model cannot be used in a clean process: {cause}$"):
        parity.answers_in_clean_process("the model", program, [], {})


# The clean process


def run_program(packages):
    program = parity._before(str(packages))
    return subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)


def test_the_program_refuses_where_tfdl_can_be_imported():
    checkout = Path(tfdl.__file__).parent.parent
    done = run_program(checkout)
    assert done.returncode == 1
    assert done.stderr.strip() == "tfdl can be imported in the process that must not know it"


def test_the_program_refuses_where_horovod_can_be_imported(tmp_path):
    (tmp_path / "horovod").mkdir()
    (tmp_path / "horovod" / "__init__.py").touch()
    done = run_program(tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == "horovod can be imported in the process that must not know it"


def test_a_process_that_does_not_end(monkeypatch):
    monkeypatch.setattr(parity, "_SECONDS", 1)
    with pytest.raises(RunError, match="the model gave no answer in a clean process within 1 s"):
        parity.answers_in_clean_process("the model", "while True: pass", [], {})


def test_the_links_leave_out_tfdl_and_horovod(tmp_path):
    hidden = parity.TRAINING_PACKAGES
    names = {path.name for path in parity._link_packages(tmp_path, hidden).iterdir()}
    assert {"tensorflow", "numpy"} <= names
    assert not [name for name in names if name.startswith(("tfdl", "horovod", "__editable__"))]


def test_packages_of_other_folders(tmp_path, monkeypatch):
    """As the modules of a cluster on PYTHONPATH, or the system's packages; not code that nobody installed."""
    installed = tmp_path / "modules"
    (installed / "their_package-1.0.dist-info").mkdir(parents=True)
    (installed / "their_package.py").touch()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "my_model.py").touch()
    monkeypatch.setattr(sys, "path", [str(mine), str(installed), str(tmp_path / "missing"), *sys.path])
    (tmp_path / "work").mkdir()
    names = {path.name for path in parity._link_packages(tmp_path / "work", ("tfdl",)).iterdir()}
    assert {"their_package.py", "tensorflow"} <= names
    assert "my_model.py" not in names


def test_gpus_stay_outside():
    """Their products are less exact, and this process may have taken all of their memory."""
    assert parity._clean_environment()["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.usefixtures("quickly")
def test_the_model_answers_in_full_float32(trained_run, tmp_path, monkeypatch):
    """As it would not on a GPU by default."""
    is_enabled = tf.config.experimental.tensor_float_32_execution_enabled
    seen = []

    def answer(task, model, image):
        seen.append(is_enabled())
        return SERVE(task, model, image)

    monkeypatch.setattr(ImageClassification, "serve", answer)
    assert is_enabled()
    tfdl.export_saved_model(trained_run, tmp_path / "out")
    assert seen
    assert not any(seen)
    assert is_enabled()


def test_the_launcher_s_variables_stay_outside(monkeypatch):
    for name in ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PYTHONPATH"):
        monkeypatch.setenv(name, "1")
    assert not {"HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PYTHONPATH"} & set(parity._clean_environment())


def test_one_rank_of_several_exports(trained_run, tmp_path):
    class SecondOfTwo(SingleWorld):
        rank = 1
        size = 2

    set_current_world(SecondOfTwo())
    try:
        with pytest.raises(UserError, match="export_saved_model on rank 1 of 2, expected rank 0 only"):
            tfdl.export_saved_model(trained_run, tmp_path / "exported")
    finally:
        set_current_world(SingleWorld())
    assert not (tmp_path / "exported").exists()
