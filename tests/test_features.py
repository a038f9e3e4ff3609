"""Features see what moves, in pixels a frame period, whatever the frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from rmedge.errors import InputError
from rmedge.manifest import ImageSpec

cv2 = pytest.importorskip("cv2")

from rmedge.runtimes.features import Features, halved  # noqa: E402  (after cv2 is known to be here)

IMAGE = ImageSpec(
    height=96,
    width=96,
    colour="gray",
    motion="dis_flow",
    feature_height=48,
    feature_width=48,
    flow_scale=0.25,
)
PERIOD = 100_000_000


def picture(dx=0.0, dy=0.0, size=96):
    """A textured picture, shifted by so many pixels of 96."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 40), np.uint8).astype(np.float32)
    wide = cv2.GaussianBlur(cv2.resize(coarse, (160, 160), interpolation=cv2.INTER_CUBIC), (5, 5), 0)
    shifted = cv2.warpAffine(wide, np.float32([[1, 0, dx], [0, 1, dy]]), (160, 160))[32:128, 32:128]
    shifted = cv2.resize(shifted, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.repeat(np.clip(shifted, 0, 255).astype(np.uint8)[..., None], 3, 2)


def seen(before, after, gap=PERIOD):
    stream = Features(IMAGE, PERIOD)
    stream.push(before, 1000)
    return stream.push(after, 1000 + gap)[0].copy()


@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (-2, 0), (0, 2), (0, -3), (1.5, -1.5), (0, 0), (4, 2)])
def test_a_known_translation_is_that_flow(dx, dy):
    flow = seen(picture(), picture(dx, dy))[1:, 8:-8, 8:-8]
    for found, true in zip(flow, (dx, dy)):
        assert np.median(found) == pytest.approx(IMAGE.flow_scale * true, abs=0.25 * 0.2)
        assert np.abs(found - IMAGE.flow_scale * true).mean() < 0.25 * 0.5


def test_flow_is_seen_where_it_is():
    after = picture()
    after[:48] = picture(2, 0)[:48]  # the upper half moves
    flow = seen(picture(), after)[1]
    assert np.median(flow[6:18, 8:-8]) == pytest.approx(0.5, abs=0.05)
    assert np.median(flow[30:42, 8:-8]) == pytest.approx(0.0, abs=0.05)


def test_flow_is_per_frame_period_whatever_the_gap():
    whole = seen(picture(), picture(2, 0))[1:]
    for frames in (0.5, 2, 3):
        gapped = seen(picture(), picture(2, 0), round(frames * PERIOD))[1:]
        np.testing.assert_allclose(gapped, np.clip(whole / frames, -4, 4), rtol=1e-5, atol=1e-6)


def test_flow_is_bounded():
    rng = np.random.default_rng(2)
    one, other = (rng.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(2))
    assert np.abs(seen(one, other, gap=PERIOD // 100)[1:]).max() == 4.0


def test_the_first_picture_and_one_from_the_past_have_no_flow():
    stream = Features(IMAGE, PERIOD)
    assert not stream.push(picture(), 5 * PERIOD)[0, 1:].any()
    assert stream.push(picture(2), 6 * PERIOD)[0, 1:].any()
    assert not stream.push(picture(4), 6 * PERIOD)[0, 1:].any()
    assert not stream.push(picture(6), 2 * PERIOD)[0, 1:].any()
    assert stream.push(picture(8), 3 * PERIOD)[0, 1:].any()


def test_reset_forgets_the_picture_before():
    stream = Features(IMAGE, PERIOD)
    stream.push(picture(), PERIOD)
    first = stream.push(picture(2), 2 * PERIOD).copy()
    stream.reset()
    assert not stream.push(picture(), PERIOD)[0, 1:].any()
    np.testing.assert_array_equal(stream.push(picture(2), 2 * PERIOD), first)


def test_brightness_is_standardised_and_does_not_care_for_exposure():
    normal = seen(picture(), picture())[0]
    assert normal.mean() == pytest.approx(0, abs=1e-4)
    assert normal.std() == pytest.approx(1, abs=1e-4)
    darker = (picture() * 0.5 + 20).astype(np.uint8)
    np.testing.assert_allclose(seen(darker, darker)[0], normal, atol=0.1)


def test_a_plain_picture_is_not_amplified():
    plain = np.full((96, 96, 3), 90, np.uint8)
    plain[::2] += 2
    assert np.abs(seen(plain, plain)).max() < 0.2


@pytest.mark.parametrize("size", [(96, 96), (480, 640), (33, 57), (1080, 200)])
def test_any_picture_fits(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    features = Features(IMAGE, PERIOD).push(pixels, 0)
    assert (features.shape, features.dtype) == ((1, 3, 48, 48), np.float32)
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    ("before", "after", "sizes"),
    [
        ((640, 480), (160, 160), [(320, 240)]),  # half of that again would be too small
        ((1280, 720), (160, 160), [(640, 360), (320, 180)]),
        ((320, 320), (160, 160), []),  # at once
        ((642, 482), (160, 160), [(321, 241)]),  # which are odd
        ((160, 120), (160, 160), []),
    ],
)
def test_a_large_picture_is_halved_first(before, after, sizes):
    assert halved(before, after) == sizes


def test_halved_first_it_is_the_same_picture():
    from dataclasses import replace

    spec = replace(IMAGE, colour="rgb", motion="none", feature_height=160, feature_width=160)
    noise = np.random.default_rng(2).integers(0, 256, (720, 1280, 3), np.uint8)
    for pixels in (cv2.blur(noise, (15, 15)), np.full_like(noise, 200)):
        at_once = (cv2.resize(pixels, (160, 160), interpolation=cv2.INTER_AREA) - np.float32(127)) / 128
        apart = np.abs(Features(spec, PERIOD).push(pixels, 0)[0] - at_once.transpose(2, 0, 1))
        assert apart.max() <= 3 / 128 and apart.mean() < 0.5 / 128  # grey levels


def test_a_larger_picture_of_the_same_shows_the_same_motion():
    small = seen(picture(), picture(2, 0))
    large = seen(picture(size=384), picture(2, 0, size=384))
    assert np.median(large[1]) == pytest.approx(np.median(small[1]), abs=0.05)


def test_colours_are_read_as_rgb():
    red, blue = np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96, 3), np.uint8)
    red[:, 48:, 0] = blue[:, 48:, 2] = 200  # red looks brighter than blue
    contrast = [np.ptp(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(float)) for p in (red, blue)]
    assert contrast[0] > 2 * contrast[1]
    faint = [picture // 8 for picture in (red, blue)]
    assert np.ptp(seen(faint[0], faint[0])[0]) > 1.5 * np.ptp(seen(faint[1], faint[1])[0])


def test_colours_come_as_the_image_networks_take_them():
    from dataclasses import replace

    spec = replace(IMAGE, colour="rgb", feature_height=96, feature_width=96)
    assert (IMAGE.channels, spec.channels) == (3, 5)
    red = np.zeros((120, 160, 3), np.uint8)
    red[..., 0] = 255
    features = Features(spec, PERIOD).push(red, 1000)
    assert features.shape == (1, 5, 96, 96)
    np.testing.assert_allclose(features[0, 0], 1.0)
    np.testing.assert_allclose(features[0, 1:3], -127 / 128)
    assert not features[0, 3:].any()


def test_colours_may_be_finer_than_what_the_flow_is_taken_from():
    from dataclasses import replace

    spec = replace(IMAGE, colour="rgb", feature_height=160, feature_width=160)
    lines = np.zeros((160, 160, 3), np.uint8)
    lines[:, ::2] = 254  # gone at 96 pixels
    stream = Features(spec, PERIOD)
    stream.push(lines, PERIOD)
    features = stream.push(lines, 2 * PERIOD)
    assert features.shape == (1, 5, 160, 160)
    np.testing.assert_allclose(features[0, 0, :, ::2], 127 / 128)
    np.testing.assert_allclose(features[0, 0, :, 1::2], -127 / 128)
    assert np.abs(features[0, 3:]).max() < 0.1


@pytest.mark.parametrize("colour", ["gray", "rgb"])
def test_where_no_motion_is_asked_for_only_colours_come(colour):
    from dataclasses import replace

    with_flow, without = replace(IMAGE, colour=colour), replace(IMAGE, colour=colour, motion="none")
    assert without.channels == with_flow.channels - 2
    streams = Features(with_flow, PERIOD), Features(without, PERIOD)
    for tick in range(3):
        both, alone = (stream.push(picture(2 * tick), tick * PERIOD) for stream in streams)
        np.testing.assert_array_equal(alone, both[:, :-2])
    assert both[:, -2:].any()


@pytest.mark.parametrize(
    "pixels",
    [
        np.full(
            (96, 96, 3), np.nan, np.float32
        ),  # eight bits would round it to a number, and nobody would know
        np.zeros((96, 96, 3)),
        np.zeros((96, 96), np.uint8),
        np.zeros((96, 96, 4), np.uint8),
        np.zeros((0, 96, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels):
    stream = Features(IMAGE, PERIOD)
    with pytest.raises(InputError, match=r"picture: expected \(height, width, 3\) uint8, got"):
        stream.push(pixels, 1)
