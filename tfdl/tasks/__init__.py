"""What a model is trained for: preprocessing, loss, metrics, and what a served model takes and returns."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "DecodingTask": "tfdl.tasks.task",
    "ImageClassification": "tfdl.tasks.image_classification",
    "LanguageModeling": "tfdl.tasks.language_modeling",
    "Objective": "tfdl.tasks.objective",
    "Prediction": "tfdl.tasks.prediction",
    "Supervised": "tfdl.tasks.supervised",
    "Task": "tfdl.tasks.task",
    "TextClassification": "tfdl.tasks.text_classification",
    "TextTask": "tfdl.tasks.task",
    "Translation": "tfdl.tasks.translation",
    "cross_entropy": "tfdl.tasks.cross_entropy_loss",
    "sample_weights": "tfdl.tasks.task",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.tasks.cross_entropy_loss import cross_entropy as cross_entropy
    from tfdl.tasks.image_classification import ImageClassification as ImageClassification
    from tfdl.tasks.language_modeling import LanguageModeling as LanguageModeling
    from tfdl.tasks.objective import Objective as Objective
    from tfdl.tasks.prediction import Prediction as Prediction
    from tfdl.tasks.supervised import Supervised as Supervised
    from tfdl.tasks.task import DecodingTask as DecodingTask
    from tfdl.tasks.task import Task as Task
    from tfdl.tasks.task import TextTask as TextTask
    from tfdl.tasks.task import sample_weights as sample_weights
    from tfdl.tasks.text_classification import TextClassification as TextClassification
    from tfdl.tasks.translation import Translation as Translation


__getattr__ = lazy_names(__name__, _PUBLIC)
