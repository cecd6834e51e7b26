"""Grey values, sizes in bytes, and the blocking side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aiocopick
from aiocopick.pictures import draw, encode_thumbnail
from aiocopick.pictures.drawing import Scene, Slice, grey
from tests.pictures.scenes import pixels


@pytest.mark.parametrize(
    "values",
    [
        np.full((4, 5), np.nan),
        np.full((4, 5), 7.0),
        np.array([[-3e38, 3e38], [np.inf, -np.inf]], np.float32),
        np.array([[0, 2**64 - 1]], np.uint64),
        np.array([[-128, 127]], np.int8),
        np.array([[False, True]]),
        np.array([[-6e4, 6e4]], np.float16),
        np.array([[-1.7e308, 1.7e308]]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_any_values_become_grey(values: np.ndarray) -> None:  # type: ignore[type-arg]
    shades = grey(values)
    assert shades.dtype == np.uint8
    if values.size == 2:
        assert (shades == [[0, 255]]).all()


def test_a_thumbnail_stays_within_its_bytes() -> None:
    noise = np.random.default_rng(0).normal(size=(320, 320))
    scene = Scene(title="noise", slice=Slice(values=noise, voxel_size=(1, 1, 1), index=0, uri="wbp@1"))
    for most in (15_000, 1_000):
        data, kind = encode_thumbnail(draw(scene, 320), most)
        assert len(data) <= most
        assert kind in ("image/webp", "image/jpeg")


def test_the_facade_draws_the_same(tmp_path: Path) -> None:
    with aiocopick.open_sync(tmp_path, user_id="someone") as root:
        run = root.new_run("TS_1")
        tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
        tomogram.from_numpy(np.zeros((4, 8, 8), np.float32), levels=1)
        assert "<img" not in run._repr_html_()
        assert pixels(run.picture(size=64)).shape[1] >= 64
        assert pixels(tomogram.thumbnail(size=64)).shape == (64, 64, 3)
        for entity in (run, tomogram):
            assert entity._repr_html_().count('<img src="data:image/png;base64,') == 1
            assert entity._repr_png_() == entity.aio._repr_png_()
