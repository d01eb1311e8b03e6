"""Images and transforms, against plain code for one image at a time."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as plain

from laf_utils.images import IMAGENET_MEAN, IMAGENET_STD, Images, Transform, _windows, shuffled


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def windows(image):
    """Every result that a crop after padding by 4 and a flip can have: (row, column, flipped) -> [C, H, W]."""
    _, height, width = image.shape
    padded = plain.pad(image, [4, 4, 4, 4])
    found = {}
    for row in range(9):
        for column in range(9):
            window = plain.crop(padded, row, column, height, width)
            found |= {(row, column, False): window, (row, column, True): plain.horizontal_flip(window)}
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_crop_and_flip_give_every_window_of_the_padded_image(make_images, channels):
    images = make_images(500, channels, 10, augment=True)
    out = images.batch(torch.arange(500), generator())
    seen = set()
    for pixels, x in zip(images.pixels, out, strict=True):
        matching = [key for key, window in windows(pixels).items() if torch.equal(window.float() / 255, x)]
        assert len(matching) == 1
        seen |= set(matching)
    assert {key[0] for key in seen} == {key[1] for key in seen} == set(range(9))
    assert len(seen) > 120  # of 162: each image has its own window


def test_half_of_the_images_are_flipped_and_offsets_are_uniform():
    # A horizontal ramp tells flip and column, a vertical one the row.
    ramp = torch.arange(1, 17, dtype=torch.uint8)
    pixels = torch.stack([ramp.expand(16, 16), ramp[:, None].expand(16, 16)]).expand(4000, 2, 16, 16).contiguous()
    out = (Transform(augment=True)(pixels, generator()) * 255).round().int()
    middle = out[:, 0, 8]
    flipped = middle[:, 7] > middle[:, 8]
    assert 0.46 < flipped.float().mean() < 0.54
    rows = out[:, 1, 8, 8].unique(return_counts=True)
    assert rows[0].tolist() == list(range(5, 14))
    assert rows[1].min() > 330


def test_resize_and_normalise_as_torchvision_does(make_images):
    images = make_images(6, 3, 20, resize=33, normalise=True)
    for rows, pixels in zip(torch.arange(6).split(1), images.pixels, strict=True):
        expected = plain.resize(pixels.float() / 255, [33, 33], antialias=True)
        expected = plain.normalize(expected, list(IMAGENET_MEAN), list(IMAGENET_STD))
        assert torch.allclose(images.batch(rows)[0], expected, atol=1e-5)


def test_shrinking_is_antialiased(make_images):
    images = make_images(3, 1, 32, resize=8)
    expected = plain.resize(images.pixels.float() / 255, [8, 8], antialias=True)
    assert torch.allclose(images.batch(torch.arange(3)), expected, atol=1e-5)


def test_the_crop_comes_before_the_resize(make_images):
    images = make_images(8, 1, 8, resize=16, augment=True)
    out = images.batch(torch.arange(8), generator(1))
    native = dataclasses.replace(images, transform=Transform(augment=True)).batch(torch.arange(8), generator(1))
    assert torch.allclose(out, plain.resize(native, [16, 16], antialias=True), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_resized_crop_is_torchvisions_of_the_same_window(channels, make_images):
    images = make_images(40, channels, 20, resize=48, augment=True, crop="resized")
    out = images.batch(torch.arange(40), generator(2))
    sides, corners = _windows(40, 48, draw := generator(2))
    flips = torch.rand(40, generator=draw) < 0.5
    assert 5 < flips.sum() < 35
    for n, pixels in enumerate(images.pixels):
        (high, wide), (top, left) = sides[:, n].tolist(), corners[:, n].tolist()
        large = plain.resize(pixels.float() / 255, [48, 48], antialias=True)
        expected = plain.resized_crop(large, top, left, high, wide, [48, 48], antialias=True)
        expected = plain.horizontal_flip(expected) if flips[n] else expected
        torch.testing.assert_close(out[n], expected, atol=2e-5, rtol=0)


def test_windows_of_a_resized_crop_have_the_published_areas_ratios_and_places():
    sides, corners = _windows(6000, 224, generator())
    share, ratio = sides.prod(0) / 224**2, sides[1] / sides[0]
    assert 0.078 < share.min() < 0.085 and 0.98 < share.max() <= 1 and 0.48 < share.mean() < 0.56  # a few large ones fit not
    assert 0.73 < ratio.min() < 0.77 and 1.3 < ratio.max() < 1.36
    room = 224 - sides
    assert (corners >= 0).all() and (corners <= room).all()
    place = corners[:, (room > 20).all(0)] / room[:, (room > 20).all(0)]
    assert (place.mean(1) - 0.5).abs().max() < 0.03 and (place < 0.05).any() and (place > 0.95).any()


def test_plain_pixels_are_scaled_to_one(make_images):
    images = make_images(4)
    out = images.batch(torch.arange(4))
    assert out.dtype == torch.float32
    assert torch.equal(out, images.pixels.float() / 255)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_random_transforms_need_a_generator(make_images):
    with pytest.raises(ValueError, match="generator"):
        make_images(4, augment=True).batch(torch.arange(4))


@pytest.mark.usefixtures("random_state_untouched")
def test_crops_come_from_the_generator_alone(make_images):
    images = make_images(20, augment=True)
    rows = torch.arange(20)
    assert torch.equal(images.batch(rows, generator(3)), images.batch(rows, generator(3)))
    assert not torch.equal(images.batch(rows, generator(3)), images.batch(rows, generator(4)))


def test_evaluation_leaves_crop_and_flip_out_and_keeps_the_rest(make_images):
    images = make_images(4, 3, 8, resize=12, normalise=True, augment=True)
    evaluation = images.for_evaluation()
    assert evaluation.transform == Transform(resize=12, normalise=True, augment=False)
    assert evaluation.transform.deterministic
    assert not images.transform.deterministic
    assert evaluation.pixels is images.pixels


def test_a_subset_of_a_subset_is_a_view(make_images):
    images = make_images(10)
    first = images.subset(torch.tensor([9, 7, 5, 3, 1]))
    second = first.subset(torch.tensor([4, 0, 0]))
    assert second.pixels is images.pixels
    assert second.index.tolist() == [1, 9, 9]
    assert (len(images), len(first), len(second)) == (10, 5, 3)
    assert torch.equal(second.batch(torch.tensor([2, 0])), images.batch(torch.tensor([9, 1])))


@pytest.mark.parametrize("pixels", [
    torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, 1, 4, 4, dtype=torch.int64),
])
def test_anything_but_four_dimensions_of_bytes_is_refused(pixels):
    with pytest.raises(TypeError, match="uint8"):
        Images(pixels, Transform())


def test_a_view_has_no_place_for_labels():
    assert {field.name for field in dataclasses.fields(Images)} == {"pixels", "transform", "index"}


def test_in_order_passes_every_row_once(make_images):
    images = make_images(10).subset(torch.tensor([3, 1, 2, 8, 9]))
    batches = list(images.in_order(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert torch.equal(torch.cat(batches), images.pixels[images.index].float() / 255)


@given(st.integers(1, 300), st.integers(1, 64), st.booleans(), st.integers(0, 99))
def test_shuffled_batches_hold_every_row_once(count, size, drop, seed):
    batches = shuffled(count, size, generator(seed), drop)
    rows = torch.cat(batches).tolist()
    ragged = count % size
    if drop and count > size and ragged:
        assert len(rows) == len(set(rows)) == count - ragged
    else:
        assert sorted(rows) == list(range(count))
    assert all(len(batch) == size for batch in batches[:-1])


def test_shuffling_reorders_and_moves_on():
    draw = generator()
    first, second = torch.cat(shuffled(100, 32, draw)), torch.cat(shuffled(100, 32, draw))
    assert not torch.equal(first, torch.arange(100))
    assert not torch.equal(first, second)
