"""What the parts of ``toy_parts`` are built from; imported when the first of them is used."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from toy_parts import LettersConfig, NoiseConfig, PicturesConfig, SawtoothConfig, SignumConfig, TwoTowersConfig

from tfdl import TrainConfig
from tfdl.data import ShuffledSource, Source, open_sources
from tfdl.data.augmentation import Augmentation, ImageChange
from tfdl.data.tokenizers import Tokenizer, TokenizerGraph, fit_tokenizer, load_tokenizer
from tfdl.layers import BatchNormalization
from tfdl.tasks import Task, cross_entropy, sample_weights

CAPTION_TOKENS = 6


def build_two_towers(config: TwoTowersConfig, *, input_shape: Any, vocab_size: int, num_classes: int) -> keras.Model:
    image = keras.Input(input_shape, name="image")
    caption = keras.Input([None], dtype="int32", name="caption")
    seen = keras.layers.Dense(config.units, "relu", use_bias=False)(keras.layers.Flatten()(image))
    seen = BatchNormalization(synchronized=True)(seen)
    read = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(vocab_size, config.units)(caption))
    read = keras.layers.Dropout(config.dropout)(read)
    logits = keras.layers.Dense(num_classes)(keras.layers.Concatenate()([seen, read]))
    return keras.Model({"image": image, "caption": caption}, logits)


class Signum(keras.optimizers.Optimizer):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.assign_sub(variable, tf.cast(learning_rate, variable.dtype) * tf.sign(gradient))


def build_signum(config: SignumConfig, learning_rate: Any, **options: Any) -> Signum:  # noqa: ARG001
    return Signum(learning_rate, **options)


class Sawtooth(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak: float, period: int):
        self.peak = peak
        self.period = period

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step % self.period, tf.float32) / self.period
        return self.peak * (1.0 - done)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "period": self.period}


def build_sawtooth(config: SawtoothConfig, peak: float, *, total_steps: int, warmup_steps: int) -> Sawtooth:  # noqa: ARG001
    return Sawtooth(peak, config.period)


def build_noise(config: NoiseConfig) -> ImageChange:
    def apply(images: Any, draws: Any) -> Any:
        noise = (draws[:, :1] - 0.5) * 2.0 * config.strength
        noisy = tf.cast(images, tf.float32) + noise[:, :, tf.newaxis, tf.newaxis]
        return tf.cast(tf.clip_by_value(tf.round(noisy), 0.0, 255.0), images.dtype)

    return ImageChange(apply, 1)


class LettersTokenizer(Tokenizer):
    name = "letters"
    vocab_size = 3 + 26

    @classmethod
    def fit(cls, config: LettersConfig, texts: Iterable[str]) -> "LettersTokenizer":  # noqa: ARG003
        return cls()

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        letters = [[ord(letter) - ord("a") + 3 for letter in text if "a" <= letter <= "z"] for text in texts]
        return [np.array(text, np.int32) for text in letters]

    def text_of(self, ids: np.ndarray) -> str:
        return "".join(chr(number - 3 + ord("a")) for number in ids)

    def build_graph(self) -> TokenizerGraph:
        return LettersGraph()

    def content(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> "LettersTokenizer":  # noqa: ARG003
        return cls()


class LettersGraph(TokenizerGraph):
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        letters = tf.strings.unicode_decode(tf.strings.regex_replace(texts, "[^a-z]", ""), "UTF-8")
        return letters - ord("a") + 3

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.unicode_encode(ids - 3 + ord("a"), "UTF-8")


def load_pictures(config: PicturesConfig) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    label = np.arange(config.count) % 2
    image = generator.integers(0, 120, (config.count, 4, 4, 1)) + 100 * label[:, np.newaxis, np.newaxis, np.newaxis]
    caption = np.where(label == 1, "bright", "dark")
    return {"train": {"image": image.astype(np.uint8), "caption": caption, "label": label.astype(np.int32)}}


class TokenizedPictures(ShuffledSource):
    """Pictures with captions of a fixed number of tokens, made in the graph."""

    def __init__(self, source: Source, tokenizer: Tokenizer):
        self.num_examples = source.num_examples
        self._source = source
        self._tokenizer = tokenizer

    def read(self, indices: Any) -> dict[str, Any]:
        features = self._source.read(indices)
        return {**features, "caption": padded(self._tokenizer, features["caption"])}


def padded(tokenizer: Tokenizer, captions: Any) -> Any:
    tokens = tokenizer.encode_in_graph(captions)
    return tf.ensure_shape(tokens.to_tensor(shape=[None, CAPTION_TOKENS]), [None, CAPTION_TOKENS])


class CaptionedPictures(Task):
    """The class of a picture with a caption."""

    name = "captioned-pictures"
    running_metrics = ("loss", "accuracy")
    monitor = "accuracy"
    larger_is_better = True

    def __init__(self, tokenizer: Tokenizer, augment: Augmentation | None = None):
        self.tokenizer = tokenizer
        self.augment = augment
        self.tracked = (tokenizer.graph,)

    @classmethod
    def open(
        cls, config: TrainConfig, assets: Path | None = None, data: Mapping[str, Any] | None = None
    ) -> tuple["CaptionedPictures", dict[str, Source]]:
        sources = open_sources(config.dataset, ("image", "caption", "label"), data)
        tokenizer = fit_tokenizer(config.tokenizer, []) if assets is None else cls.load(assets).tokenizer
        augment = Augmentation(config.dataset.augmentation) if config.dataset.augmentation else None
        tokenized = {split: TokenizedPictures(source, tokenizer) for split, source in sources.items()}
        return cls(tokenizer, augment), tokenized

    @classmethod
    def load(cls, assets: Path) -> "CaptionedPictures":
        assert json.loads((assets / "pictures.json").read_text()) == {"size": 4}
        return cls(load_tokenizer(assets))

    def save(self, assets: Path) -> None:
        self.tokenizer.save(assets)
        (assets / "pictures.json").write_text(json.dumps({"size": 4}))

    @property
    def model_arguments(self) -> dict[str, Any]:
        return {"input_shape": (4, 4, 1), "vocab_size": self.tokenizer.vocab_size, "num_classes": 2}

    def inputs(self, batch: Mapping[str, Any]) -> Any:
        return {"image": tf.cast(batch["image"], tf.float32) / 255.0, "caption": batch["caption"]}

    def losses(self, batch: Mapping[str, Any], outputs: Any) -> tuple[Any, Any]:
        losses = cross_entropy(batch["label"], outputs)
        return losses, sample_weights(batch, losses.dtype)

    def running_sums(self, batch: Mapping[str, Any], outputs: Any, losses: Any) -> list[Any]:
        weights = sample_weights(batch, losses.dtype)
        correct = tf.cast(tf.equal(tf.argmax(outputs, -1, tf.int32), batch["label"]), losses.dtype)
        return [tf.reduce_sum(losses * weights), tf.reduce_sum(correct * weights)]

    def evaluation_rows(self, batch: Mapping[str, Any], outputs: Any) -> dict[str, Any]:
        correct = tf.equal(tf.argmax(outputs, -1, tf.int32), batch["label"])
        return {"loss": cross_entropy(batch["label"], outputs), "correct": correct}

    def metrics(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {"loss": float(rows["loss"].mean(dtype=np.float64)), "accuracy": float(rows["correct"].mean())}

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        return {
            "image": tf.TensorSpec([None, 4, 4, 1], tf.uint8, name="image"),
            "caption": tf.TensorSpec([None], tf.string, name="caption"),
        }

    def serve(self, model: Any, image: Any, caption: Any) -> dict[str, Any]:
        batch = {"image": image, "caption": padded(self.tokenizer, caption)}
        return {"probabilities": tf.nn.softmax(model(self.inputs(batch), training=False))}

    def serving_sample(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        captions = np.array([b"bright", b"dark", b""])[generator.integers(0, 3, count)]
        return {"image": generator.integers(0, 256, (count, 4, 4, 1), np.uint8), "caption": captions}
