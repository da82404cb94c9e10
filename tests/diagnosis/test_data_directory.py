"""Which prepared data sets the doctor sees."""

import json

from tfdl.diagnosis.data_directory import data_directory


def test_only_whole_sets_are_called_prepared(tmp_path):
    whole = tmp_path / "digits" / "1.0.0"
    whole.mkdir(parents=True)
    (whole / "dataset_info.json").write_text(json.dumps({"splits": [{"name": "train", "shardLengths": ["3"]}]}))
    (tmp_path / "fashion_mnist").mkdir()  # a download that failed leaves this
    (tmp_path / "downloads").mkdir()
    finding = next(data_directory(str(tmp_path)))
    assert finding.found == f"{tmp_path}, prepared: digits/1.0.0"


def test_none(tmp_path):
    assert next(data_directory(str(tmp_path / "none"))).found.endswith("prepared: nothing yet")
