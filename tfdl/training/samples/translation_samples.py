"""Samples of translations."""

from tfdl.tasks.task import Rows
from tfdl.training.samples.sample_text import SampleText
from tfdl.training.samples.validation_samples import Shown, ValidationSamples, spread_places

_NUM_TEXTS = 4


class TranslationSamples(ValidationSamples):
    """Sources, their targets, and what the model wrote: the validation has decoded them."""

    def of(self, rows: Rows) -> Shown:
        """See ``ValidationSamples.of``."""
        if not {"source", "target", "translation"} <= rows.keys():
            return Shown()
        samples = []
        for place in spread_places(len(rows["translation"]), _NUM_TEXTS):
            written = rows["translation"][place].decode()
            samples.append(
                SampleText({"source": rows["source"][place], "target": rows["target"][place], "written": written})
            )
        return Shown(samples)
