"""The names of classes in config.json."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tfdl.interop.settings import Settings

# The number of classes that transformers takes where a file names none.
_DEFAULT = 2


def read_class_names(settings: Settings) -> tuple[str, ...]:
    """The class names of ``id2label``, by class number.

    Args:
        settings: of the model.

    Returns:
        The names; ``LABEL_0`` and ``LABEL_1`` where the file has none, as in transformers. A name that several classes
        have, as ImageNet's ``crane``, is followed by the number of the class.

    Raises:
        UserError: names that are not numbered from 0 on, or fewer than 2 classes.
    """
    settings.require("problem_type", "single_label_classification", "single_label_classification")
    names = settings.raw("id2label")
    if names is None:
        count = settings.size("num_labels", _DEFAULT)
        names = {str(number): f"LABEL_{number}" for number in range(count)}
    expected = "a name for each class, numbered from 0 on, such as {'0': 'cat', '1': 'dog'}"
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise settings.wrong("id2label", names, expected)
    numbered = [names.get(str(number)) for number in range(len(names))]
    class_names = tuple(name for name in numbered if name is not None)
    if len(class_names) < len(names):
        raise settings.wrong("id2label", names, expected)
    if len(class_names) < _DEFAULT:
        raise settings.wrong(
            "id2label", names, "at least 2 classes; a model that predicts a number is not built in tfdl"
        )
    return distinct(class_names)


def distinct(class_names: Sequence[str]) -> tuple[str, ...]:
    """The names, each different: one that several classes have is followed by the number of the class.

    Args:
        class_names: by class number.
    """
    counts = Counter(class_names)
    return tuple(f"{name} ({number})" if counts[name] > 1 else name for number, name in enumerate(class_names))


def write_class_names(class_names: Sequence[str]) -> dict[str, Any]:
    """The keys of config.json.

    Args:
        class_names: by class number.
    """
    return {
        "id2label": {str(number): name for number, name in enumerate(class_names)},
        "label2id": {name: number for number, name in enumerate(class_names)},
        "problem_type": "single_label_classification",
    }
