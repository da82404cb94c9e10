"""The label of a row of records, as a text."""

from collections.abc import Mapping, Sequence

from tfdl.data.labels import stands_for_no_label
from tfdl.data.records.values import Value, as_text


def label_text(values: Mapping[str, Value], name: str, class_names: Sequence[str], encoding: str) -> str:
    """The label of a row.

    Args:
        values: the row.
        name: the column of the label.
        class_names: the names of the classes, if labels are their numbers; other numbers stand for no label.
        encoding: of labels that are stored as bytes.

    Raises:
        ValueError: it has none, or one that cannot be read.
    """
    label = values.get(name)
    text = None if label is None else as_text(label, class_names)
    if text is None:
        raise ValueError(f"no {name!r} in it")
    if isinstance(text, bytes):
        try:
            text = text.decode(encoding)
        except UnicodeDecodeError:
            raise ValueError(f"{name!r} is not {encoding}") from None
    if not text.strip():
        raise ValueError(f"{name!r} is empty")
    if stands_for_no_label(text):
        raise ValueError(f"{name!r} is {text.strip()!r}, which stands for no value")
    return text
