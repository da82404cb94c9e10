"""A trained run as an object: ``tfdl.load("runs/digits").predict(images)``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfdl.config import TrainConfig
from tfdl.distributed import World, current_world
from tfdl.evaluation import evaluate_loaded
from tfdl.inference.array_answers import answers_of_arrays, is_ready
from tfdl.inference.generation import GeneratedText, Generator
from tfdl.inference.inputs.opening import inputs_of_objects
from tfdl.inference.predictor import Compute, Predictor, compiled
from tfdl.inference.writing import whole_record
from tfdl.runs import RunDirectory, load_run
from tfdl.runs.load import LoadedRun
from tfdl.tasks.prediction import Prediction, Record
from tfdl.tasks.task import Task


class Trained:
    """A run's model with its weights, and what can be done with it.

    Args:
        loaded: the run.
    """

    def __init__(self, loaded: LoadedRun):
        self._loaded = loaded
        # By the number of answers. A graph is traced once for many calls.
        self._compiled: dict[int | None, tuple[Prediction, Compute]] = {}
        self._generator: Generator | None = None

    @property
    def run(self) -> RunDirectory:
        """The run directory."""
        return self._loaded.run

    @property
    def config(self) -> TrainConfig:
        """The run's whole configuration."""
        return self._loaded.config

    @property
    def task(self) -> Task:
        """The run's task: class names, tokenizer, preprocessing."""
        return self._loaded.task

    @property
    def model(self) -> Any:
        """The ``keras.Model``."""
        return self._loaded.model

    def predict(
        self, inputs: Any, *, top_k: int | None = None, batch_size: int | None = None, world: World | None = None
    ) -> list[Record]:
        """Answers for inputs, in their order.

        Args:
            inputs: of images: uint8 arrays ``(h, w, c)`` or ``(n, h, w, c)``, paths of files or folders, or contents of
                files (``bytes``); of texts: strings, or ``Path`` objects of files; of other tasks: an array, or arrays
                by input name. One input, or a sequence or iterator of them.
            top_k: how many of the most likely answers to return, for a task that ranks them. Defaults to the task's
                own number.
            batch_size: most samples that are computed together. Defaults to the task's own number.
            world: the ranks that share the work, each of which gets all answers. Defaults to the current ones.

        Returns:
            One record for each input, as ``tfdl predict`` writes it: plain data by name.

        Raises:
            UserError: an input that cannot be used.
        """
        return list(self.predictions(inputs, top_k=top_k, batch_size=batch_size, world=world))

    def predictions(
        self, inputs: Any, *, top_k: int | None = None, batch_size: int | None = None, world: World | None = None
    ) -> Iterator[Record]:
        """As ``predict``, one record after the other, in memory that does not grow with the number of inputs.

        Args:
            inputs: as for ``predict``.
            top_k: as for ``predict``.
            batch_size: as for ``predict``.
            world: as for ``predict``.

        Raises:
            UserError: as ``predict``.
        """
        if top_k not in self._compiled:
            prediction = self.task.prediction(top_k)
            self._compiled[top_k] = prediction, compiled(self.model, prediction)
        prediction, compute = self._compiled[top_k]
        world = world or current_world()
        if world.size == 1 and is_ready(prediction, inputs):
            yield from answers_of_arrays(prediction, compute, inputs, batch_size)
            return
        opened = inputs_of_objects(self.task, inputs)
        predictor = Predictor(prediction, compute, opened.load, batch_size=batch_size, world=world)
        for item, record in predictor.answers(opened.items):
            yield whole_record(item, record)

    def generate(self, prompts: str | Sequence[str], **options: Any) -> list[GeneratedText]:
        """Continues texts with a language model, or translates them with an encoder-decoder.

        Args:
            prompts: one text, or several.
            **options: ``max_new_tokens``, ``samplers``, ``beams``, ``stop``, ``seed``, ``num_samples``; see
                ``tfdl.inference.Generator.stream``.

        Returns:
            ``num_samples`` texts for each prompt, in their order.

        Raises:
            UserError: a task that writes no texts; a prompt, a sampler or a number that cannot be used.
        """
        if self._generator is None:
            self._generator = Generator(self.model, self.task)
        return self._generator.generate(prompts, **options)

    def evaluate(
        self, split: str = "test", *, data: Mapping[str, Any] | None = None, world: World | None = None
    ) -> dict[str, float]:
        """Metrics on one split of the run's data.

        Args:
            split: ``train``, ``validation`` or ``test``.
            data: the splits, for a run whose data Python code passed to ``tfdl.train``.
            world: the ranks that share the work. Defaults to the current ones.

        Raises:
            UserError: no such split, or data that is missing.
        """
        return evaluate_loaded(self._loaded, split, world, data=data).metrics


def load(run: str | Path | RunDirectory, checkpoint: str = "last", precision: str | None = None) -> Trained:
    """Loads a trained run.

    Args:
        run: the run directory.
        checkpoint: the weights to use: ``last``, ``best``, or a folder's name.
        precision: the number format that the model computes in. Defaults to the run's own.

    Raises:
        UserError: not a run directory, no such checkpoint, or parts of a plugin that was not imported.
        RunError: a damaged checkpoint.
    """
    return Trained(load_run(run, checkpoint, precision, merged=True))
