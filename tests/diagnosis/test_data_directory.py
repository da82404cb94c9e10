"""Which prepared data sets the doctor lists."""

import json

from tfdl.diagnosis.data_directory import check_data_directory


def test_only_complete_sets_are_listed_as_prepared(tmp_path):
    whole = tmp_path / "digits" / "1.0.0"
    whole.mkdir(parents=True)
    (whole / "dataset_info.json").write_text(json.dumps({"splits": [{"name": "train", "shardLengths": ["3"]}]}))
    (tmp_path / "fashion_mnist").mkdir()  # a download that failed leaves this
    (tmp_path / "downloads").mkdir()
    finding = next(check_data_directory(str(tmp_path)))
    assert finding.found == f"{tmp_path}, prepared: digits/1.0.0"


def test_no_prepared_set(tmp_path):
    assert next(check_data_directory(str(tmp_path / "none"))).found.endswith("prepared: nothing yet")
