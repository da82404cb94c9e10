"""The label of a row of records, as a text."""

from collections.abc import Mapping, Sequence

from tfdl.data.records.values import Value, as_text


def label_text(values: Mapping[str, Value], name: str, class_names: Sequence[str], encoding: str) -> str:
    """The label of a row.

    Args:
        values: the row.
        name: the column of the label.
        class_names: the names of the classes, if labels are their numbers; a negative number stands for no label.
        encoding: of labels that are stored as bytes.

    Raises:
        ValueError: it has none, or one that cannot be read.
    """
    label = values.get(name)
    is_unlabelled = bool(class_names) and isinstance(label, int) and label < 0
    if label is None or is_unlabelled:
        raise ValueError(f"no {name!r} in it")
    text = as_text(label, class_names)
    if isinstance(text, bytes):
        try:
            text = text.decode(encoding)
        except UnicodeDecodeError:
            raise ValueError(f"{name!r} is not {encoding}") from None
    if not text.strip():
        raise ValueError(f"{name!r} is empty")
    return text
