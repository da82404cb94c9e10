"""Affine changes: none in the middle of the draws, known ones elsewhere."""

import numpy as np
import pytest

from tfdl.data.augmentation.affine import affine

MIDDLE = [0.5] * 4


def random_images(count=3, height=32, width=32, channels=2):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)


@pytest.mark.parametrize("size", [(32, 32), (24, 20), (7, 9), (8, 8)])
def test_nothing_changes_in_the_middle(size):
    images = random_images(3, *size)
    np.testing.assert_array_equal(affine(images, np.array([MIDDLE] * 3, "float32")), images)


def test_a_shift_to_the_side():
    # 0.75 is half of 1/16 of 32 pixels: one pixel to the left, black comes in at the right.
    images = random_images()
    shifted = np.asarray(affine(images, np.array([[0.5, 0.5, 0.75, 0.5]] * 3, "float32")))
    np.testing.assert_array_equal(shifted[:, :, :-1], images[:, :, 1:])
    assert not shifted[:, :, -1].any()


def test_a_shift_down():
    images = random_images()
    shifted = np.asarray(affine(images, np.array([[0.5, 0.5, 0.5, 0.25]] * 3, "float32")))
    np.testing.assert_array_equal(shifted[:, 1:], images[:, :-1])
    assert not shifted[:, 0].any()


def test_zoom_and_rotation_keep_the_centre():
    images = np.zeros((1, 33, 33, 1), np.uint8)
    images[0, 16, 16] = 255
    for draws in ([0.0, 0.5, 0.5, 0.5], [0.5, 0.999, 0.5, 0.5], [0.999, 0.0, 0.5, 0.5]):
        changed = np.asarray(affine(images, np.array([draws], "float32")))
        assert changed[0, 16, 16, 0] == 255


def test_zoom_makes_larger():
    images = np.zeros((1, 33, 33, 1), np.uint8)
    images[0, 10:23, 10:23] = 255
    larger = np.asarray(affine(images, np.array([[0.5, 0.999, 0.5, 0.5]], "float32"))).astype(int).sum()
    smaller = np.asarray(affine(images, np.array([[0.5, 0.0, 0.5, 0.5]], "float32"))).astype(int).sum()
    area = images.astype(int).sum()
    assert larger == pytest.approx(area * 1.1**2, rel=0.03)
    assert smaller == pytest.approx(area * 0.9**2, rel=0.03)


def test_rotations_to_both_sides_are_mirror_images():
    images = random_images(1)
    left = np.asarray(affine(images, np.array([[0.25, 0.5, 0.5, 0.5]], "float32")))
    right = np.asarray(affine(images[:, :, ::-1], np.array([[0.75, 0.5, 0.5, 0.5]], "float32")))
    assert not np.array_equal(left, images)
    assert np.abs(left.astype(int) - right[:, :, ::-1]).max() <= 1


def test_equal_draws_change_equally_in_any_batch():
    images = random_images(6)
    draws = np.random.default_rng(1).random((6, 4), "float32")
    whole = np.asarray(affine(images, draws))
    np.testing.assert_array_equal(affine(images, draws), whole)
    for number in range(6):
        alone = affine(images[number : number + 1], draws[number : number + 1])
        np.testing.assert_array_equal(alone, whole[number : number + 1])
    assert not np.array_equal(whole, images)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_shape_and_dtype_stay(count):
    changed = affine(random_images(count, 9, 7, 3), np.full((count, 4), 0.3, "float32"))
    assert changed.shape == (count, 9, 7, 3)
    assert changed.dtype == np.uint8
