"""Texts in records are the texts of tables: the same rows, splits and classes in every format."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.records.making import FORMATS, example, write, write_parquet, write_tfrecord
from tfdl.config import DatasetConfig
from tfdl.data import open_texts
from tfdl.data.files.readers import columns_of_file, reader_of
from tfdl.data.files.rows import ReadOptions
from tfdl.errors import UserError

ROWS = [{"text": f"review {number} é", "label": ("bad", "good")[number % 2]} for number in range(80)]
LABELLED = ("text", "label")


def contents(dataset):
    """Split -> its rows, with the names of classes."""
    return {
        split: [
            {name: dataset.class_names[value] if name == "label" else value for name, value in row.items()}
            for row in rows
        ]
        for split, rows in dataset.splits.items()
    }


def json_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_has_the_data_set_of_json_lines(tmp_path, file_format):
    expected = contents(open_texts(DatasetConfig(str(json_lines(tmp_path / "a.jsonl", ROWS))), LABELLED))
    path = write(tmp_path, "reviews", ROWS, file_format)
    assert contents(open_texts(DatasetConfig(str(path)), LABELLED)) == expected
    assert sum(map(len, expected.values())) == 80


@settings(max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries({"text": st.text(max_size=8), "n": st.integers(-(2**63), 2**63 - 1)}),
        min_size=1,
        max_size=5,
    )
)
def test_rows_are_read_as_they_were_written(tmp_path_factory, rows):
    # Half of a surrogate pair has no place in any of the formats.
    rows = [{**row, "text": row["text"].encode("utf-8", "ignore").decode()} for row in rows]
    folder = tmp_path_factory.getbasetemp() / "written"
    for file_format in FORMATS:
        path = write(folder, "rows", rows, file_format)
        found = [columns for _, columns in reader_of(path)(path, ReadOptions())]
        # A feature without a zero byte in its first texts is one of texts.
        expected = [{"text": row["text"], "n": str(row["n"])} for row in rows]
        has_texts = any("\0" not in row["text"] for row in rows) or file_format == "parquet"
        assert found == (expected if has_texts else [{"n": row["n"]} for row in expected])


def test_translations_of_hugging_face_have_dotted_columns(tmp_path):
    rows = [{"translation": {"de": f"Satz {number}", "en": f"sentence {number}"}} for number in range(30)]
    path = write_parquet(tmp_path / "a.parquet", rows)
    config = DatasetConfig(str(path), source_column="translation.de", target_column="translation.en")
    found = contents(open_texts(config, ("source", "target")))
    assert found["train"][0] == {"source": "Satz 0", "target": "sentence 0"}
    with pytest.raises(UserError, match=r"It has translation\.de, translation\.en; choose with --source-column"):
        open_texts(DatasetConfig(str(path)), ("source", "target"))


def test_class_numbers_have_the_names_that_the_file_says(tmp_path):
    rows = [{"text": row["text"], "label": number % 2} for number, row in enumerate(ROWS)]
    path = write_parquet(tmp_path / "a.parquet", rows, {"label": ["bad", "good"]})
    assert open_texts(DatasetConfig(str(path)), LABELLED).class_names == ("bad", "good")
    rows[4]["label"] = -1
    path = write_parquet(tmp_path / "b.parquet", rows, {"label": ["bad", "good"]})
    with pytest.raises(UserError, match=r"1 bad row: .*b\.parquet row 5: no 'label' in it"):
        open_texts(DatasetConfig(str(path)), LABELLED)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_bytes_in_another_encoding_are_bad_rows(tmp_path, file_format):
    rows = [*ROWS[:20], {"text": "caf\xe9".encode("cp1252"), "label": "bad"}, *ROWS[20:]]
    path = write(tmp_path, "reviews", rows, file_format)
    with pytest.raises(UserError, match=r"row 21: 'text' is not UTF-8.*--encoding NAME"):
        open_texts(DatasetConfig(str(path)), LABELLED)
    path = write(
        tmp_path, "western", [{"text": "caf\xe9".encode("cp1252") + b"%d" % n} for n in range(30)], file_format
    )
    found = contents(open_texts(DatasetConfig(str(path), encoding="cp1252"), ("text",)))
    assert found["train"][0]["text"].startswith("café")


@pytest.mark.parametrize("file_format", FORMATS)
def test_columns_of_bytes_that_are_no_texts_are_left_out(tmp_path, file_format):
    rows = [{**row, "image": b"\x89PNG\r\n\xff", "zeros": b"a\0b"} for row in ROWS]
    path = write(tmp_path, "mixed", rows, file_format)
    names = columns_of_file(path, reader_of(path), ReadOptions()).names
    assert set(names) == {"text", "label"}
    assert len(contents(open_texts(DatasetConfig(str(path)), ("text",)))["train"]) > 20


@pytest.mark.parametrize("file_format", FORMATS)
def test_missing_values_are_bad_rows(tmp_path, file_format):
    rows = [dict(row) for row in ROWS]
    rows[7] = {"text": None, "label": "bad"}
    path = write(tmp_path, "reviews", rows, file_format)
    with pytest.raises(UserError, match=r"1 bad row: .*reviews\.\w+ row 8: no 'text' in it"):
        open_texts(DatasetConfig(str(path)), LABELLED)
    dataset = open_texts(DatasetConfig(str(path), skip_bad_rows=True), LABELLED)
    assert sum(map(len, contents(dataset).values())) == 79


def test_a_feature_that_comes_late_is_found(tmp_path):
    rows = [{"text": f"text {number}", **({"kind": "rare"} if number > 150 else {})} for number in range(200)]
    path = write_tfrecord(tmp_path / "a.tfrecord", [example(row) for row in rows])
    config = DatasetConfig(str(path), label_column="kind", skip_bad_rows=True)
    with pytest.raises(UserError, match=r"one label, 'rare'"):
        open_texts(config, LABELLED)
