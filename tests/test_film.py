"""Films decode to what was put in; a composed picture shows what it was told."""

from __future__ import annotations

import sys
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from rmedge.errors import AbsentError, UsageError
from rmedge.runtimes.film import HEIGHT, PANEL, WIDTH, Caption, Film, compose, save_picture

CAPTION = Caption("walk_forward", 0.83, (0.52, -0.02, 0.05), 0.7, 3.2)
GREEN, VIOLET = (30, 220, 40), (180, 30, 200)


def plain(height, width, colour):
    return np.full((height, width, 3), colour, dtype=np.uint8)


def decoded(path):
    with av.open(str(path)) as file:
        rate = file.streams.video[0].average_rate
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)], rate


def drawn(caption=CAPTION, latency_ms=(), deadline_ms=20.0, video=GREEN, size=(240, 320)):
    return compose(plain(*size, video), plain(PANEL[1], PANEL[0], VIOLET), caption, latency_ms, deadline_ms)


@pytest.mark.parametrize("size", [(96, 128), (95, 127), (1, 1)])
def test_ten_pictures_make_ten_frames_of_that_size(tmp_path, size):
    with Film(tmp_path / "film.mp4", 25, width=size[1], height=size[0]) as film:
        for step in range(10):
            film.add(plain(*size, (20 * step, 128, 255 - 20 * step)))
    frames, rate = decoded(tmp_path / "film.mp4")
    assert len(frames) == 10
    assert rate == 25
    for step, frame in enumerate(frames):
        assert frame.shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
        wanted = (20 * step, 128, 255 - 20 * step)
        np.testing.assert_allclose(frame.mean(axis=(0, 1)), wanted, atol=8)  # red is still red


def test_a_film_is_finished_when_its_maker_fails(tmp_path):
    def fail():
        with Film(tmp_path / "film.mp4", 10.0, 64, 48) as film:
            film.add(plain(48, 64, GREEN))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(decoded(tmp_path / "film.mp4")[0]) == 1


def test_a_film_without_pictures_is_closed_in_peace(tmp_path):
    with Film(tmp_path / "film.mp4", 10, 64, 48):
        pass
    assert (tmp_path / "film.mp4").exists()


def test_a_picture_of_another_size_is_refused(tmp_path):
    with Film(tmp_path / "film.mp4", 10, 64, 48) as film:
        film.add(plain(48, 64, GREEN))
        message = r"film picture: expected \(48, 64, 3\) uint8, got \(64, 48, 3\) uint8; open the film"
        with pytest.raises(UsageError, match=message):
            film.add(plain(64, 48, GREEN))
        with pytest.raises(UsageError, match=r"got .* float64"):
            film.add(np.zeros((48, 64, 3)))


def test_a_film_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(UsageError, match="film: expected a positive rate and size, got 0 Hz, 64 x 48"):
        Film(tmp_path / "film.mp4", 0, 64, 48)
    with pytest.raises(UsageError, match="film: expected a path that can be written"):
        Film(tmp_path / "nowhere" / "film.mp4", 10, 64, 48)


def test_without_pyav_pictures_remain_and_a_film_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert drawn().any()
    with pytest.raises(AbsentError) as caught:
        Film(tmp_path / "film.mp4", 10, 8, 8)
    assert str(caught.value) == 'film: expected PyAV, got none; pip install "rmedge[camera]"'


@pytest.mark.parametrize("size", [(240, 320), (97, 33), (1, 1), (1080, 1920), (2000, 3)])
def test_a_composed_picture_has_one_size_and_both_views(size):
    picture = drawn(size=size)
    assert picture.shape == (HEIGHT, WIDTH, 3) == (720, 1280, 3) and picture.dtype == np.uint8
    middle = 52 + PANEL[1] // 2
    np.testing.assert_array_equal(picture[middle, 16 + (PANEL[0] - 1) // 2], GREEN)
    np.testing.assert_array_equal(picture[middle, WIDTH - 16 - PANEL[0] // 2], VIOLET)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "stand"},
        {"probability": 0.2},
        {"velocity": (0.1, 0.0, -0.3)},
        {"certainty": 0.1},
        {"time_s": 9.9},
    ],
)
def test_every_word_of_the_caption_is_seen(change):
    assert (drawn(replace(CAPTION, **change)) != drawn()).any()


def test_the_certainty_bar_grows():
    green = [
        (drawn(replace(CAPTION, certainty=c)) == (88, 214, 165)).all(axis=2).sum() for c in (0.6, 0.8, 1.7)
    ]
    assert 0 < green[0] < green[1] < green[2]


def test_the_latency_plot_shows_height_and_lateness():
    def reddish(picture):
        return ((picture[..., 0] > 190) & (picture[..., 1:] < 110).all(axis=2)).sum()

    def rows(value):
        changed = (drawn(latency_ms=np.full(50, value)) != drawn()).any(axis=2)
        return np.flatnonzero(changed[600:, 700:1260].sum(axis=1) > 80).mean()

    assert rows(16.0) < rows(4.0) - 20
    assert reddish(drawn(latency_ms=[5.0, 30.0])) > 20
    assert reddish(drawn(latency_ms=[5.0, 6.0])) == 0
    assert drawn(latency_ms=np.full(100_000, 3.0)).shape == (720, 1280, 3)


def test_a_saved_picture_comes_back_bit_for_bit(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (31, 17, 3), dtype=np.uint8)
    save_picture(tmp_path / "picture.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "picture.png"))[:, :, ::-1], picture)
    with pytest.raises(UsageError, match="picture: expected a path that can be written"):
        save_picture(tmp_path / "nowhere" / "picture.png", picture)
