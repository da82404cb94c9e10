"""The cases of `input_pipeline.py`: configurations of `tfdl train`, opened and built as a run does it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdl.config import TASKS, TrainConfig, compose
from tfdl.data import ArraySource, Source
from tfdl.data.order import steps_left
from tfdl.distributed import SingleWorld
from tfdl.models import build_model, compute_precision
from tfdl.runs import Progress
from tfdl.tasks import ImageClassification
from tfdl.training import Trainer
from tfdl.training.carried_state import RecurrentState
from tfdl.training.fit_plan import FitPlan, open_batches
from tfdl.training.optimization import optimizer_for

Shape = tuple[int, int, int]

CROP_FLIP = {"augmentation": ["crop", "flip"]}
# Name -> a configuration, and the shape of random images that replace its data set (None: its own data set).
CASES: dict[str, tuple[dict[str, Any], Shape | None]] = {
    "cnn, digits, affine": ({"model": "cnn"}, None),
    "cnn, 28x28, crop and flip": ({"model": "cnn", "dataset": CROP_FLIP, "batch_size": 128}, (28, 28, 1)),
    "resnet20, 32x32, crop and flip": ({"model": "resnet20", "dataset": CROP_FLIP, "batch_size": 128}, (32, 32, 3)),
    "rnn, python_topics": ({"model": "rnn"}, None),
    "transformer, python_topics": ({"model": "transformer"}, None),
    "rnn, docstrings": ({"model": "rnn", "task": "text-classification"}, None),
    "transformer, docstrings": ({"model": "transformer", "task": "text-classification"}, None),
    "transformer, dates": ({"task": "translation"}, None),
}
RANDOM_IMAGES = 10_000


@dataclass(frozen=True)
class OpenedCase:
    """A case with its task and its training split."""

    config: TrainConfig
    task: Any
    source: Source

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, a short last batch included."""
        return steps_left(self.source.num_examples, self.config.batch_size)


def open_case(name: str) -> OpenedCase:
    """Opens the case of this name in ``CASES``."""
    values, image_shape = CASES[name]
    config = compose(values)
    if image_shape is not None:
        return OpenedCase(config, *random_images(config, image_shape))
    task, sources = TASKS.load(config.task).open(config)
    return OpenedCase(config, task, sources["train"])


def random_images(config: TrainConfig, shape: Shape) -> tuple[ImageClassification, Source]:
    """Makes a task and a split of random images.

    Args:
        config: its augmentations are used.
        shape: height, width and channels.
    """
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (RANDOM_IMAGES, *shape), np.uint8)
    labels = generator.integers(0, 10, RANDOM_IMAGES).astype(np.int32)
    task = ImageClassification(shape, tuple("0123456789"), False, config.dataset.augmentation)
    return task, ArraySource({"image": images, "label": labels})


def trainer_and_batches(case: OpenedCase) -> tuple[Trainer, tf.data.Dataset]:
    """Builds the trainer and the pipeline as a run has them."""
    config = case.config
    world = SingleWorld()
    keras.utils.set_random_seed(config.seed)
    with compute_precision(config.precision):
        model = build_model(config.model, **case.task.model_arguments)
    steps = case.steps_per_epoch
    optimizer = optimizer_for(config.optimizer, model, total_steps=1000 * steps, steps_per_epoch=steps, ranks=1)
    carried = RecurrentState(model, config.batch_size, world) if case.task.carries_state else None
    trainer = Trainer(model, optimizer, case.task, world, carried=carried)
    trainer.xla = config.xla == "on"
    plan = FitPlan(case.source, config.batch_size, config.seed, config.steps_per_execution, length=None, monitor=None)
    return trainer, open_batches(plan, trainer, Progress())
