"""Crops, flips, erased rectangles, and RandAugment beside Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tfdl.data.augmentation import Augmentation, colours
from tfdl.data.augmentation.crop import crop
from tfdl.data.augmentation.erase import erase
from tfdl.data.augmentation.flip import flip
from tfdl.data.augmentation.rand_augment import CHANGES, rand_augment

RANDOM = np.random.default_rng(0)


def pictures(count=4, height=32, width=24, channels=3):
    """Smooth ones with noise, so that they have few of some values."""
    x = np.linspace(20, 200, height * width).reshape(1, height, width, 1)
    noise = np.random.default_rng(0).integers(0, 40, (count, height, width, channels))
    return (x + noise).astype(np.uint8)


def draws(*numbers):
    return np.array([numbers], np.float32)


def test_a_crop_from_the_middle_is_the_image():
    np.testing.assert_array_equal(crop(pictures(1), draws(0.5, 0.5)), pictures(1))


def test_a_crop_from_the_corners_of_the_border():
    image = pictures(1)  # borders of 4 and 3 pixels
    first = np.array(crop(image, draws(0.0, 0.0)))
    last = np.array(crop(image, draws(0.999, 0.999)))
    np.testing.assert_array_equal(first[:, 4:, 3:], image[:, :-4, :-3])
    assert not first[:, :4].any()
    assert not first[:, :, :3].any()
    np.testing.assert_array_equal(last[:, :-4, :-3], image[:, 4:, 3:])
    assert not last[:, -4:].any()


@pytest.mark.parametrize("shape", [(33, 20, 3), (8, 31, 1), (3, 3, 4)])  # the last without a border
def test_each_image_has_a_crop_of_its_own(shape):
    images = RANDOM.integers(0, 256, (40, *shape), np.uint8)
    numbers = RANDOM.random((40, 2), np.float32)
    height, width, _ = shape
    border_y = round(height / 8)
    border_x = round(width / 8)
    padded = np.pad(images, [(0, 0), (border_y, border_y), (border_x, border_x), (0, 0)])
    tops, lefts = (numbers * [2 * border_y + 1, 2 * border_x + 1]).astype(int).T
    expected = [
        image[top : top + height, left : left + width] for image, top, left in zip(padded, tops, lefts, strict=True)
    ]
    np.testing.assert_array_equal(crop(images, numbers), expected)


def test_every_crop_is_equally_likely():
    numbers = np.linspace(0, 1, 900, endpoint=False, dtype=np.float32)
    image = np.arange(1, 33, dtype=np.uint8).reshape(1, 32, 1, 1)
    tops = np.array(crop(np.repeat(image, 900, 0), np.stack([numbers, numbers], 1)))[:, 16, 0, 0]
    assert np.bincount(tops)[13:22].tolist() == [100] * 9


def test_a_flip():
    images = pictures(2)
    np.testing.assert_array_equal(flip(images, np.array([[0.49], [0.5]], np.float32)), [images[0], images[1, :, ::-1]])
    grey = images[..., :1]
    np.testing.assert_array_equal(flip(grey, np.array([[0.5], [0.0]], np.float32)), [grey[0, :, ::-1], grey[1]])


def test_an_erased_rectangle_by_hand():
    image = np.zeros((1, 20, 20, 1), np.uint8)
    # Area: the middle of 8 and 133.3 pixels; as high as wide: 8.4, so 8; from row 6 and column 9 of 13 each.
    erased = np.array(erase(image, draws(0.0, 0.5, 0.5, 0.5, 0.75)))[0, :, :, 0]
    expected = np.zeros((20, 20), np.uint8)
    expected[6:14, 9:17] = 128
    np.testing.assert_array_equal(erased, expected)
    np.testing.assert_array_equal(erase(image, draws(0.5, 0.5, 0.5, 0.5, 0.75)), image)


def test_erased_rectangles_are_within_the_image_and_of_the_stated_areas():
    numbers = RANDOM.random((500, 5), np.float32)
    numbers[:, 0] = 0
    areas = (np.array(erase(np.zeros((500, 40, 30, 1), np.uint8), numbers)) == 128).mean((1, 2, 3))
    assert areas.min() > 0.015
    assert areas.max() < 0.36
    assert areas.mean() == pytest.approx((0.02 + 1 / 3) / 2, rel=0.1)


def solarized(image, threshold):
    return ImageOps.solarize(image, threshold)


PILLOW = {
    "auto_contrast": (lambda x: colours.auto_contrast(x), ImageOps.autocontrast),
    "equalize": (lambda x: colours.equalize(x), ImageOps.equalize),
    "solarize": (lambda x: colours.solarize(x, 100), lambda image: solarized(image, 100)),
    "posterize": (lambda x: colours.posterize(x, 3), lambda image: ImageOps.posterize(image, 3)),
    "less colour": (lambda x: colours.colour(x, 0.4), lambda image: ImageEnhance.Color(image).enhance(0.4)),
    "more colour": (lambda x: colours.colour(x, 1.7), lambda image: ImageEnhance.Color(image).enhance(1.7)),
    "less contrast": (lambda x: colours.contrast(x, 0.3), lambda image: ImageEnhance.Contrast(image).enhance(0.3)),
    "more contrast": (lambda x: colours.contrast(x, 1.9), lambda image: ImageEnhance.Contrast(image).enhance(1.9)),
    "darker": (lambda x: colours.brightness(x, 0.6), lambda image: ImageEnhance.Brightness(image).enhance(0.6)),
    "lighter": (lambda x: colours.brightness(x, 1.6), lambda image: ImageEnhance.Brightness(image).enhance(1.6)),
    "smoother": (lambda x: colours.sharpness(x, 0.2), lambda image: ImageEnhance.Sharpness(image).enhance(0.2)),
    "sharper": (lambda x: colours.sharpness(x, 1.8), lambda image: ImageEnhance.Sharpness(image).enhance(1.8)),
}


@pytest.mark.parametrize("name", PILLOW)
def test_colours_are_those_of_pillow(name):
    ours, theirs = PILLOW[name]
    noise = RANDOM.integers(0, 256, (32, 24, 3), np.uint8)
    for picture in (*pictures(3), noise, np.full_like(noise, 77)):
        expected = np.array(theirs(Image.fromarray(picture)))
        found = np.array(ours(tf.constant(picture)))
        difference = np.abs(found.astype(int) - expected)
        assert difference.max() <= 1, name  # Pillow rounds some products in fixed point
        assert (difference > 0).mean() < 0.02, name


def test_one_channel_keeps_its_shape():
    image = tf.constant(pictures(1, channels=1)[0])
    for name, change in CHANGES.items():
        for sign in (-1.0, 1.0):
            assert change(image, tf.constant(sign)).shape == image.shape, name
    np.testing.assert_array_equal(colours.colour(image, 0.1), image)


def test_shifts_and_turns_to_both_sides_are_mirror_images():
    image = tf.constant(pictures(1, height=30, width=30)[0])
    for name in ("rotate", "shear_x", "shift_x"):
        left = np.array(CHANGES[name](image, tf.constant(-1.0))).astype(int)
        right = np.array(CHANGES[name](image[:, ::-1], tf.constant(1.0))).astype(int)
        assert np.abs(left - right[:, ::-1]).max() <= 1, name
        assert np.abs(left - np.array(image)).mean() > 1, name


def test_each_change_is_chosen_by_its_part_of_the_draw():
    image = pictures(1)
    for place, change in enumerate(CHANGES.values()):
        number = (place + 0.5) / len(CHANGES)
        once = np.array(change(tf.constant(image[0]), tf.constant(-1.0)))
        np.testing.assert_array_equal(rand_augment(image, draws(number, 0.0, 0.0, 0.0))[0], once)  # then none


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("names", [["crop"], ["flip"], ["erase"], ["randaugment"], ["affine", "crop", "flip", "erase"]])
def test_shape_and_dtype_stay(names, count):
    augmentation = Augmentation(names)
    batch = {"image": tf.constant(pictures(count)), "label": tf.zeros([count], tf.int32)}
    changed = augmentation(batch, tf.constant(RANDOM.random((count, augmentation.num_draws), np.float32)))
    assert (changed["image"].shape, changed["image"].dtype) == ((count, 32, 24, 3), tf.uint8)


def test_the_order_of_names_does_not_matter():
    batch = {"image": tf.constant(pictures())}
    numbers = tf.constant(RANDOM.random((4, 7), np.float32))
    first = Augmentation(["affine", "crop", "flip"])(batch, numbers)["image"]
    np.testing.assert_array_equal(first, Augmentation(["flip", "affine", "crop"])(batch, numbers)["image"])
    assert not np.array_equal(first, pictures())
