"""What a report shows of a model that translates."""

from collections.abc import Mapping

import numpy as np

from tfdl.reporting.clean_text import shortened
from tfdl.reporting.measuring.measured import Sample, Texts

_NUM_SAMPLES = 8
_LONGEST_TEXT = 400


def translated_texts(rows: Mapping[str, np.ndarray]) -> Texts:
    """Translations that are evenly spread over those that were decoded.

    Args:
        rows: ``source``, ``target`` and ``translation`` of each decoded sample, ``(n,)``.
    """
    written = [text.decode() for text in rows["translation"].tolist()]
    count = min(_NUM_SAMPLES, len(written))
    samples = []
    for number in np.arange(count) * len(written) // max(1, count):
        texts = (rows["source"][number], rows["target"][number], written[number])
        samples.append(Sample(*(shortened(text, _LONGEST_TEXT) for text in texts)))
    return Texts(
        kind="translated",
        samples=tuple(samples),
        num_written=len(written),
        num_distinct=len({text.strip() for text in written}),
        num_distinct_expected=len(set(rows["target"].tolist())),
        note="Decoded as for the metrics.",
    )
