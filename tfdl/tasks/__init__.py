"""What the numbers mean: preprocessing, loss, metrics, and what a served model takes and returns."""

from tfdl.tasks.cross_entropy import cross_entropy
from tfdl.tasks.image_classification import ImageClassification

__all__ = ["TASKS", "ImageClassification", "cross_entropy"]

TASKS = {"image-classification": ImageClassification}
