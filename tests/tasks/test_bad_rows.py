"""Rows that are left out of the user's data are told of, by every task."""

import pytest
import tensorflow as tf

from tfdl.config import TASKS, compose

COLUMNS = {
    "text-classification": ("text,label", "a text of {0},{1}"),
    "language-modeling": ("text", "a text of {0}"),
    "translation": ("source,target", "a text of {0},A TEXT OF {0}"),
}


@pytest.mark.parametrize("task", COLUMNS)
def test_bad_rows_of_texts(task, tmp_path):
    header, row = COLUMNS[task]
    lines = [header, *(row.format(number, number % 2) for number in range(40)), "," * header.count(",")]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([*lines[:-1], lines[-1] or '""']) + "\n")
    config = compose({"task": task, "dataset": {"name": str(path), "skip_bad_rows": True}, "tokenizer": "character"})
    assert "1 bad row left out" in " ".join(TASKS.load(task).open(config)[0].notes)


def test_broken_images(tmp_path):
    for number in range(40):
        path = tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(tf.fill([8, 8, 1], tf.constant(number, tf.uint8))).numpy())
    path.write_bytes(b"no image at all")
    config = compose({"dataset": {"name": str(tmp_path / "pictures"), "skip_bad_rows": True}})
    assert "1 bad row left out" in " ".join(TASKS.load("image-classification").open(config)[0].notes)
