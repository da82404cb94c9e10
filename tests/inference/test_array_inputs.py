"""Numbers as inputs, for tasks that read neither images nor texts: files of arrays, JSON lines, tables."""

import json
from pathlib import Path

import keras
import numpy as np
import pyarrow
import pytest
import tensorflow as tf
from pyarrow import parquet

import tfdl
from tfdl.errors import UserError
from tfdl.inference import InputOptions, open_inputs
from tfdl.inference.items import BadItem
from tfdl.tasks.prediction import ServedPrediction

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    """A run from Python: three numbers in, one out."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    config = tfdl.TrainConfig(epochs=1, batch_size=8)
    folder = tmp_path_factory.mktemp("regression") / "run"
    tfdl.train(config, folder, model=model, data={"train": (np.tile(X, (4, 1)), np.tile(X[:, :1], (4, 1)))})
    return tfdl.load(folder)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def opened(trained, *arguments, **options):
    items = open_inputs(trained.task, arguments, InputOptions(**options)).items
    return [str(item) if isinstance(item, BadItem) else item for item in items]


def test_predictions_are_the_model_s_own(regression):
    expected = regression.model(X).numpy()[:, 0]
    records = regression.predict(X, batch_size=4)
    assert [list(record) for record in records] == [["output"]] * 6
    np.testing.assert_allclose([record["output"][0] for record in records], expected, rtol=1e-5)


def test_files_of_numbers(regression):
    np.save("x.npy", X)
    np.savez("x.npz", x=X)
    rows = [{"x": row.tolist(), "id": number} for number, row in enumerate(X)]
    Path("x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("lists.jsonl").write_text("\n".join(json.dumps(row.tolist()) for row in X))
    columns = {name: X[:, place] for place, name in enumerate("abc")}
    parquet.write_table(pyarrow.table({"id": list(range(6)), **columns}), "x.parquet")
    lines = [",".join(map(str, row)) for row in X.tolist()]
    Path("x.csv").write_text("\n".join(["a,b,c", *lines]))
    for name, options in {
        "x.npy": {},
        "x.npz": {},
        "x.jsonl": {},
        "lists.jsonl": {},
        "x.csv": {},
        "x.parquet": {"kept": ("id",)},
    }.items():
        items = opened(regression, name, **options)
        values = np.array([np.asarray(item.values["x"], np.float32) for item in items])
        np.testing.assert_allclose(values, X, rtol=1e-6, err_msg=name)
        assert items[1].name.startswith(name)
    assert opened(regression, "x.parquet", kept=("id",))[2].kept == {"id": "2"}
    assert [item.kept for item in opened(regression, "x.jsonl", kept=("id",))][:2] == [{"id": "0"}, {"id": "1"}]
    chosen = opened(regression, "x.parquet", column="c,b,a")
    np.testing.assert_allclose(np.asarray(chosen[0].values["x"], np.float32), X[0, ::-1], rtol=1e-6)


def test_samples_that_cannot_be_used(regression):
    Path("x.jsonl").write_text('{"y": 1}\n[1, 2]\n[1, 2, "three"]\nnothing\n"[1, 2, 3]"\n')
    with pytest.raises(UserError) as caught:
        regression_predict(regression, "x.jsonl")
    assert "x.jsonl line 1: no 'x' in it, expected x" in str(caught.value)
    assert "x.jsonl line 2: input 'x' has the shape (2,), expected (3,)" in str(caught.value)
    assert "x.jsonl line 3: input 'x' cannot be read as float32" in str(caught.value)
    assert "and 2 more" in str(caught.value)


def regression_predict(trained, path):
    from tfdl.inference.predictor import Predictor, compiled

    prediction = trained.task.prediction()
    predictor = Predictor(prediction, compiled(trained.model, prediction))
    return list(predictor.answers(open_inputs(trained.task, [path]).items))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"1,2,3", "x.txt is of another kind, expected files of arrays"),
        ("x.npy", b"no array", "x.npy cannot be read as arrays .*; write it with numpy.save"),
        ("x.csv", b"a,b\n1,2\n", r"x.csv has the columns a, b, expected the inputs x of the shape \(3,\); leave out"),
        ("gone.npy", None, "no such file or folder: 'gone.npy'"),
    ],
)
def test_files_that_hold_no_inputs(regression, name, content, message):
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        opened(regression, name)


@pytest.mark.parametrize(("name", "message"), [("x.csv", "has the columns a, b, c"), ("x.npy", "has no columns")])
def test_columns_to_keep_that_a_file_lacks(regression, name, message):
    Path("x.csv").write_text("a,b,c\n1,2,3\n")
    np.save("x.npy", X)
    with pytest.raises(UserError, match=f"--keep-column 'id'.*{message}"):
        open_inputs(regression.task, [name], InputOptions(kept=("id",)))


def test_all_files_are_looked_at_before_the_first_answer(regression):
    np.save("x.npy", X)
    np.savez("other.npz", y=X)
    with pytest.raises(UserError, match="arrays y, expected x"):
        open_inputs(regression.task, ["x.npy", "other.npz"])


def test_pickled_objects_are_never_loaded(regression):
    np.save("x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"x.npy cannot be read as arrays"):
        opened(regression, "x.npy")


def test_other_arrays(regression):
    np.savez("x.npz", y=X)
    with pytest.raises(UserError, match=r"x.npz: arrays y, expected x"):
        opened(regression, "x.npz")
    with pytest.raises(UserError, match=r"texts"):
        open_inputs(regression.task, [], texts=["a text"])


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([0.9, 1], "uint8"),
        ([300, -1], "uint8"),
        ([None, 1], "float32"),
        (["no", "yes"], "bool"),
        ([10**400, 1], "int32"),
    ],
)
def test_numbers_are_not_rounded_or_wrapped(value, dtype):
    class Echo:
        def serving_signature(self):
            return {"x": tf.TensorSpec([None, 2], dtype)}

    with pytest.raises(ValueError, match=r"input 'x' (cannot be read as|has values that are no) "):
        ServedPrediction(Echo()).prepare({"x": value})


def test_damaged_files_of_arrays(regression):
    np.savez("x.npz", x=X)
    Path("x.npz").write_bytes(Path("x.npz").read_bytes()[:-40])
    with pytest.raises(UserError, match=r"x\.npz cannot be read as arrays"):
        opened(regression, "x.npz")
    np.save("one.npy", np.float32(7))
    with pytest.raises(UserError, match="x is one number, expected an array with the samples as its first axis"):
        opened(regression, "one.npy")
