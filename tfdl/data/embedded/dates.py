"""A text-to-text data set made by a rule: dates as people write them, and the same dates in ISO 8601."""

import datetime
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

_DESCRIPTION = """\
Dates from 1900 to 2099 in ten ways of writing them in English, and the same dates as YYYY-MM-DD: "the twenty-third of
March, 1987" is 1987-03-23. All samples are made by a rule from a fixed seed. A day is in one split only, in whatever
form, so the test split has days that are not in the training split. There are no ambiguous forms such as 3/4/87.
"""
_CITATION = ""
SPLIT_SIZES = {"train": 20_000, "validation": 1_000, "test": 1_000}
_FIRST_DAY = datetime.date(1900, 1, 1).toordinal()
_LAST_DAY = datetime.date(2099, 12, 31).toordinal()
_SEED = 8601

_MONTHS = re.findall(r"\w+", "January February March April May June July August September October November December")
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_ORDINALS = re.findall(
    r"\w+",
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth twentieth""",
)
_ORDINALS += [f"twenty-{name}" for name in _ORDINALS[:9]] + ["thirtieth", "thirty-first"]


def _suffixed(day: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    if 11 <= day <= 13:
        return f"{day}th"
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


# Ways to write a date. None is ambiguous: the month has a name, or dots show that the day comes first.
FORMS: tuple[Callable[[datetime.date], str], ...] = (
    lambda d: f"{d.day} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1]} {d.day}, {d.year}",
    lambda d: f"{d.day} {_MONTHS[d.month - 1][:3]} {d.year}",
    lambda d: f"{_MONTHS[d.month - 1][:3]} {d.day} {d.year}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{_DAYS[d.weekday()]}, {d.day} {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"{_DAYS[d.weekday()]}, {_MONTHS[d.month - 1]} {_suffixed(d.day)}, {d.year}",
    lambda d: f"the {_suffixed(d.day)} of {_MONTHS[d.month - 1]} {d.year}",
    lambda d: f"the {_ORDINALS[d.day - 1]} of {_MONTHS[d.month - 1]}, {d.year}",
    lambda d: f"{d.year}, {_MONTHS[d.month - 1]} the {_ORDINALS[d.day - 1]}",
)


class Dates(tfds.core.GeneratorBasedBuilder):
    """``source``: a date in words; ``target``: the same as YYYY-MM-DD."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    pkg_dir_path = None

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            citation=_CITATION,
            license="CC0-1.0",
            features=tfds.features.FeaturesDict({"source": tfds.features.Text(), "target": tfds.features.Text()}),
            supervised_keys=("source", "target"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:  # noqa: ARG002
        draws = np.random.Generator(np.random.PCG64(_SEED))
        num_samples = sum(SPLIT_SIZES.values())
        shuffled_days = _FIRST_DAY + draws.permutation(_LAST_DAY - _FIRST_DAY + 1)
        days = shuffled_days[:num_samples]
        forms = draws.integers(0, len(FORMS), num_samples)
        cuts = np.cumsum(list(SPLIT_SIZES.values()))[:-1]
        parts = zip(SPLIT_SIZES, np.split(days, cuts), np.split(forms, cuts), strict=True)
        return {split: self._generate_examples(days, forms) for split, days, forms in parts}

    def _generate_examples(self, days: np.ndarray, forms: np.ndarray) -> Iterator[tuple[int, dict[str, str]]]:
        for day, form in zip(days.tolist(), forms.tolist(), strict=True):
            date = datetime.date.fromordinal(day)
            yield day, {"source": FORMS[form](date), "target": date.isoformat()}
