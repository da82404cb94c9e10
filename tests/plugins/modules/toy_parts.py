"""Seven parts of a user: a model family, a task, an optimizer, a schedule, a tokenizer, an augmentation and a data set.

The data set has small pictures with a caption; the task is to tell the picture's class from both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import tfdl


@dataclass(frozen=True)
class TwoTowersConfig(tfdl.ModelConfig):
    """A layer for the picture and one for its caption."""

    name: ClassVar[str] = "two-towers"
    tasks: ClassVar[tuple[str, ...]] = ("captioned-pictures",)
    example_data: ClassVar[Mapping[str, Any]] = {"input_shape": (4, 4, 1), "vocab_size": 30, "num_classes": 2}
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "captioned-pictures": {"epochs": 2, "batch_size": 8, "optimizer": {"name": "signum", "schedule": "sawtooth"}}
    }

    units: int = 8
    dropout: float = 0.1


@dataclass(frozen=True)
class SignumConfig(tfdl.OptimizerConfig):
    """Steps of one size in the direction of each gradient's sign."""

    name: ClassVar[str] = "signum"

    learning_rate: float = 0.01


@dataclass(frozen=True)
class SawtoothConfig(tfdl.ScheduleConfig):
    """Falls from the peak to nothing, again and again."""

    name: ClassVar[str] = "sawtooth"
    needs_total_steps: ClassVar[bool] = False

    period: int = 10


@dataclass(frozen=True)
class LettersConfig(tfdl.TokenizerConfig):
    """A token for each letter from a to z."""

    name: ClassVar[str] = "letters"


@dataclass(frozen=True)
class NoiseConfig(tfdl.AugmentationConfig):
    """A little noise on every pixel row."""

    name: ClassVar[str] = "row-noise"

    strength: float = 10.0


@dataclass(frozen=True)
class PicturesConfig(tfdl.DatasetConfig):
    """Bright and dark pictures, called so."""

    task: ClassVar[str] = "captioned-pictures"
    about: ClassVar[str] = "pictures that are bright or dark"
    tokenizer: ClassVar[str] = "letters"

    name: str = "bright-or-dark"
    count: int = 64


tfdl.register_model(TwoTowersConfig, "toy_parts_built:build_two_towers")
tfdl.register_optimizer(SignumConfig, "toy_parts_built:build_signum")
tfdl.register_schedule(SawtoothConfig, "toy_parts_built:build_sawtooth")
tfdl.register_tokenizer(LettersConfig, "toy_parts_built:LettersTokenizer")
tfdl.register_augmentation(NoiseConfig, "toy_parts_built:build_noise")
tfdl.register_dataset(PicturesConfig, "toy_parts_built:load_pictures")
tfdl.register_task(
    tfdl.TaskSpec(
        name="captioned-pictures",
        implementation="toy_parts_built:CaptionedPictures",
        model="two-towers",
        dataset="bright-or-dark",
        roles=("image", "caption", "label"),
        dataset_fields=frozenset({"augmentation"}),
        reads_tokens=True,
        pads_texts=True,
    )
)
