"""What the numbers mean: preprocessing, loss, metrics, and what a served model takes and returns."""

from typing import Any

from tfdl.tasks.cross_entropy import cross_entropy
from tfdl.tasks.image_classification import ImageClassification
from tfdl.tasks.language_modeling import LanguageModeling
from tfdl.tasks.text_classification import TextClassification
from tfdl.tasks.translation import Translation

__all__ = ["TASKS", "ImageClassification", "LanguageModeling", "TextClassification", "Translation", "cross_entropy"]

TASKS: dict[str, Any] = {
    "image-classification": ImageClassification,
    "language-modeling": LanguageModeling,
    "text-classification": TextClassification,
    "translation": Translation,
}
