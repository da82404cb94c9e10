"""What the numbers mean: preprocessing, loss, metrics, and what a served model takes and returns."""

from tfdl.tasks.image_classification import ImageClassification

__all__ = ["TASKS", "ImageClassification"]

TASKS = {"image-classification": ImageClassification}
