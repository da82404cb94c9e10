"""New versions are loaded while requests are answered, and no request is lost."""

import http.client
import json
import shutil
import threading

import pytest
import tensorflow as tf

from tests.serving.asking import wait_until
from tests.serving.conftest import options_of, write_saved_model
from tfdl.errors import UserError
from tfdl.serving.errors import RequestError
from tfdl.serving.server import open_state
from tfdl.serving.sources import find_sources, versions_in
from tfdl.serving.version_state import stamp_of


def numbered(folder, number):
    """A version that answers with its number. It is renamed into its place, as an export is."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def answer(x):
        return {"version": tf.zeros_like(x) + number}

    unfinished = write_saved_model(folder.parent / f"unfinished-{number}", {"serving_default": answer})
    folder.mkdir(exist_ok=True)
    unfinished.rename(folder / str(number))


@pytest.fixture
def folder(tmp_path):
    numbered(tmp_path / "model", 1)
    return tmp_path / "model"


@pytest.fixture
def opened():
    """``opened(folder, **options)``: a model whose folder the test looks at itself."""
    states = []

    def open_model(folder, **options):
        states.append(open_state(find_sources([str(folder)]), options_of(options)))
        (model,) = states[-1].models.values()
        return model

    yield open_model
    for state in states:
        state.streams.close()
        for model in state.models.values():
            model.close()


def settle(model):
    """Two looks: a version must be unchanged between them."""
    model.refresh()
    model.refresh()


def test_no_request_is_lost_while_versions_change(folder, serving):
    """Four clients ask all the time, over one connection each, while two versions appear."""
    is_over = threading.Event()
    answers = [[] for _ in range(4)]
    errors = []

    with serving(folder, poll_seconds=0.05) as client:

        def ask(found):
            connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
            while not is_over.is_set():
                connection.request("POST", "/v1/models/model:predict", json.dumps({"instances": [1.0]}))
                response = connection.getresponse()
                content = json.loads(response.read())
                if response.status == 200:
                    found.append(content["predictions"][0])
                else:
                    errors.append(content)

        threads = [threading.Thread(target=ask, args=(found,)) for found in answers]
        for thread in threads:
            thread.start()
        for number in (2, 3):
            numbered(folder, number)
            wait_until(lambda n=number: all(found and found[-1] == n for found in answers))
        _, status = client.get("/v1/models/model")
        is_over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    for found in answers:
        assert found == sorted(found)
        assert set(found) == {1, 2, 3}
    states = {state["version"]: state["state"] for state in status["model_version_status"]}
    assert states["3"] == "AVAILABLE"
    assert states["1"] == "END"


def test_an_old_version_answers_until_its_requests_are_done(folder, opened):
    model = opened(folder)
    with model.use(None) as old:
        numbered(folder, 2)
        settle(model)
        assert model.numbers == [2]
        assert [state.state for state in model.states()] == ["AVAILABLE", "UNLOADING"]
        assert old.program.signatures
    wait_until(lambda: model.states(1)[0].state == "END")
    with pytest.raises(RequestError, match="has no version 1; loaded: 2"), model.use(1):
        pass


def test_several_versions(folder, opened):
    for number in (2, 10):
        numbered(folder, number)
    assert opened(folder).numbers == [10]
    assert opened(folder, versions=2).numbers == [10, 2]
    every = opened(folder, versions=0)
    assert every.numbers == [10, 2, 1]
    shutil.rmtree(folder / "2")
    settle(every)
    assert every.numbers == [10, 1]


def test_a_broken_version_changes_nothing(folder, opened, caplog):
    model = opened(folder)
    (folder / "2").mkdir()
    (folder / "2" / "saved_model.pb").write_bytes(b"broken")
    settle(model)
    assert model.numbers == [1]
    state = model.states(2)[0]
    assert state.state == "END"
    assert "is damaged: it is not a SavedModel" in state.error
    assert str(folder) not in state.error
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "model model version 2 was not loaded: " in record.getMessage()
    settle(model)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1  # it is not tried again
    shutil.rmtree(folder / "2")
    numbered(folder, 2)
    settle(model)
    assert model.numbers == [2]


def test_a_start_with_a_broken_newest_version(folder, opened, caplog, monkeypatch):
    """The next older one answers, as it would if the server had been there all the time."""
    numbered(folder, 2)
    (folder / "3").mkdir()
    (folder / "3" / "saved_model.pb").write_bytes(b"broken")
    monkeypatch.chdir(folder.parent.parent)
    relative = folder.relative_to(folder.parent.parent)
    model = opened(relative)
    assert model.numbers == [2]
    assert [(state.number, state.state) for state in model.states()] == [(3, "END"), (2, "AVAILABLE")]
    assert "model model version 3 was not loaded: " in caplog.text
    assert str(relative) not in model.states(3)[0].error
    settle(model)
    assert (model.numbers, caplog.text.count("was not loaded")) == ([2], 1)
    assert opened(folder, versions=2).numbers == [2, 1]
    for number in (1, 2):
        shutil.rmtree(folder / str(number))
    with pytest.raises(UserError, match="is damaged: it is not a SavedModel"):
        opened(folder)


def test_a_file_that_moves_changes_a_version(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x")
    before = [stamp for stamp in stamp_of(tmp_path) if stamp[0].endswith("file")]
    (tmp_path / "a" / "file").rename(tmp_path / "b" / "file")
    assert [stamp for stamp in stamp_of(tmp_path) if stamp[0].endswith("file")] != before


def test_a_version_that_is_still_copied_is_not_loaded(folder, opened):
    model = opened(folder)
    (folder / "2").mkdir()
    settle(model)
    assert model.numbers == [1]  # without saved_model.pb it is no version
    numbered(folder, 3)
    model.refresh()
    assert model.numbers == [1]
    (folder / "3" / "variables" / "more").write_bytes(b"x")  # somebody still writes
    model.refresh()
    assert model.numbers == [1]
    model.refresh()
    assert model.numbers == [3]


def test_an_untrusted_version_is_not_loaded(folder, opened):
    model = opened(folder)
    numbered(folder, 2)
    shutil.rmtree(folder / "2" / "assets.extra")
    settle(model)
    assert model.numbers == [1]
    assert "was not written by tfdl" in model.states(2)[0].error


def test_the_last_version_stays_when_the_folder_is_emptied(folder, opened):
    model = opened(folder)
    shutil.rmtree(folder / "1")
    settle(model)
    assert model.numbers == [1]
    shutil.rmtree(folder)
    settle(model)
    assert model.numbers == [1]


def test_an_old_version_comes_back_when_the_new_one_is_removed(folder, opened):
    numbered(folder, 2)
    model = opened(folder)
    shutil.rmtree(folder / "2")
    settle(model)
    assert model.numbers == [1]


def test_names_of_versions(tmp_path):
    for name in ("1", "007", "x", "-3", "0", "\N{SUPERSCRIPT TWO}", "9" * 30, "4"):
        (tmp_path / name).mkdir()
        if name != "4":
            (tmp_path / name / "saved_model.pb").touch()
    assert sorted(versions_in(tmp_path)) == [1, 7]
    assert versions_in(tmp_path / "missing") == {}


# What is served


def test_names_of_models(folder, trained_run):
    def names(*arguments):
        return [(source.name, source.kind) for source in find_sources([str(argument) for argument in arguments])]

    assert names(folder, f"run={trained_run.path}") == [("model", "versions"), ("run", "run")]
    assert names(folder / "1") == [("model", "saved_model")]
    assert names(f"x={folder / '1'}") == [("x", "saved_model")]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing", "'missing' does not exist, expected a run directory or a folder that `tfdl export` wrote"),
        ("x=missing", "'missing' does not exist"),
        ("a b={folder}", "a model cannot be called 'a b'"),
        ("={folder}", "a model cannot be called ''"),
        ("{folder}/..", "holds neither a run"),
        ("{folder}/1/saved_model.pb", "is a file, expected a run directory"),
    ],
)
def test_what_cannot_be_served(folder, argument, message):
    with pytest.raises(UserError) as raised:
        find_sources([argument.format(folder=folder)])
    assert message in str(raised.value)


def test_an_export_of_another_format_cannot_be_served(tmp_path):
    (tmp_path / "tfdl.json").write_text('{"format": "onnx"}')
    with pytest.raises(UserError, match="is an export of the format onnx, which the server does not read; serve the"):
        find_sources([str(tmp_path)])


def test_two_models_of_one_name(folder):
    with pytest.raises(UserError, match=r"has the name 'model', as .* has; give each model a name with NAME=PATH"):
        find_sources([str(folder), str(folder / "1")])
