"""mixup and CutMix: by hand, and the same on any number of shards."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfdl.config import DatasetConfig
from tfdl.data import training_batches
from tfdl.data.augmentation import Augmentation
from tfdl.data.augmentation.mixing import _beta_quantile, cutmix, mixup
from tfdl.data.pipeline import WEIGHT
from tfdl.errors import UserError
from tfdl.tasks import ImageClassification

BLACK = np.zeros((1, 10, 20, 1), np.float32)
WHITE = np.full((1, 10, 20, 1), 200, np.float32)


def draws(*numbers):
    return tf.constant([numbers], tf.float32)


def test_mixup_by_hand():
    share = stats.beta(0.2, 0.2).ppf(0.25)
    mixed, own_share = mixup(BLACK, WHITE, draws(0.25))
    np.testing.assert_allclose(own_share, [share], rtol=1e-4)
    np.testing.assert_allclose(mixed, np.full((1, 10, 20, 1), 200 * (1 - share)), rtol=1e-4)


def test_cutmix_by_hand():
    # 1 - share = 0.25: half as high and half as wide, 5 x 10, about row 5 and column 10.
    mixed, share = cutmix(BLACK, WHITE, draws(0.75, 0.5, 0.5))
    expected = np.zeros((10, 20))
    expected[3:8, 5:15] = 200
    np.testing.assert_array_equal(mixed[0, :, :, 0], expected)
    np.testing.assert_allclose(share, [0.75])


def test_what_is_outside_of_the_image_is_cut_off_and_does_not_count():
    mixed, share = cutmix(BLACK, WHITE, draws(0.75, 0.0, 0.0))  # about the corner
    assert float(share[0]) == pytest.approx(1 - np.mean(np.array(mixed) == 200))
    assert 0.9 < float(share[0]) < 1


def test_with_both_a_draw_decides():
    both = Augmentation(["mixup", "cutmix"])
    assert both.num_draws == 4
    first, second = ({"image": image.astype(np.uint8), "label": tf.constant([0])} for image in (BLACK, WHITE))
    for which, mix, num_draws in ((0.4, mixup, 1), (0.6, cutmix, 3)):
        numbers = draws(which, 0.7, 0.5, 0.5)
        mixed = both(first, numbers, second, numbers)
        images, share = mix(BLACK, WHITE, numbers[:, 1 : 1 + num_draws])
        np.testing.assert_array_equal(mixed["image"], images)
        np.testing.assert_array_equal(mixed["share"], share)


def test_shares_are_of_the_beta_distribution():
    uniform = np.random.default_rng(0).random(20_000, np.float32)
    np.testing.assert_allclose(_beta_quantile(tf.constant(uniform), 0.2), stats.beta(0.2, 0.2).ppf(uniform), atol=2e-3)


def test_the_loss_is_that_of_both_labels():
    task = ImageClassification((2, 2, 1), ("a", "b", "c"), resized=False, augmentation=("mixup",))
    logits = tf.constant([[1.0, 2.0, 3.0]])
    batch = {"label": tf.constant([0]), "mixed_label": tf.constant([2]), "share": tf.constant([0.3])}
    losses, _ = task.losses({**batch, WEIGHT: tf.ones(1)}, logits)
    log_probabilities = np.log(np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum())
    np.testing.assert_allclose(losses, [-0.3 * log_probabilities[0] - 0.7 * log_probabilities[2]], rtol=1e-6)


def test_mixed_images_are_the_same_on_any_number_of_shards(digits):
    """Each image of an epoch, with its second label and its share, depends on its position in the epoch alone."""
    augment = Augmentation(["flip", "mixup", "cutmix"])
    source = digits.sources["validation"]

    def epoch(shards):
        samples = []
        for shard in range(shards):
            batches = training_batches(
                source, batch_size=24 // shards, seed=1, shard_index=shard, num_shards=shards, augment=augment
            )
            for batch in batches.take(8).as_numpy_iterator():  # 180 samples, the last batch short
                columns = (batch[name] for name in ("image", "label", "mixed_label", "share", WEIGHT))
                for image, label, other_label, share, weight in zip(*columns, strict=True):
                    if weight > 0:
                        samples.append((image.tobytes(), int(label), int(other_label), float(share)))
        return sorted(samples)

    alone = epoch(1)
    assert len(alone) == 180
    assert alone == epoch(2) == epoch(3)
    assert sum(label != other for _, label, other, _ in alone) > 120


@pytest.mark.parametrize(
    ("value", "names"),
    [("flip,crop", ("flip", "crop")), (["mixup"], ("mixup",)), ("none", ()), ("affine", ("affine",))],
)
def test_names_in_the_configuration(value, names):
    assert tuple(config.name for config in DatasetConfig(augmentation=value).augmentation) == names


def test_an_unknown_name():
    with pytest.raises(UserError, match=r"unknown augmentation 'flop', expected one of affine, crop.*mean 'flip'\?"):
        DatasetConfig(augmentation="crop,flop")
