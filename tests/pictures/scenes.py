"""Projects with something to see, and the pixels of pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from aiocopick.entities import AsyncRoot, AsyncRun, AsyncTomogram
from aiocopick.models import PickableObject

RED = (255, 0, 0)
BLUE = (0, 0, 255)
OBJECTS = [
    PickableObject(name="ribosome", is_particle=True, label=1, color=(*RED, 0), radius=100),
    PickableObject(name="membrane", is_particle=False, label=2, color=(*BLUE, 255)),
    PickableObject(name="colourless", is_particle=True, label=3, color=None),
]


async def tomogram_of(run: AsyncRun, values: Any, voxel_size: float = 10.0, **how: Any) -> AsyncTomogram:
    """A tomogram of a run."""
    spacing = await run.new_voxel_spacing(voxel_size, exist_ok=True)
    tomogram = await spacing.new_tomogram("wbp")
    await tomogram.from_numpy(values, **{"levels": 1, **how})
    return tomogram


async def write_scene(root: AsyncRoot, name: str = "TS_1") -> AsyncRun:
    """A run with two ribosomes in the middle slice of a grey tomogram, one far from it, and a square of membrane."""
    root.config.pickable_objects = OBJECTS
    run = await root.new_run(name)
    await tomogram_of(run, np.zeros((20, 40, 60), np.float32))
    picks = await run.new_picks("ribosome", "1", "someone")
    await picks.from_numpy([[300.0, 200.0, 100.0], [100.0, 100.0, 130.0], [500.0, 300.0, 10.0]])
    labels = np.zeros((20, 40, 60), np.uint8)
    labels[8:12, 10:31, 30:51] = 1
    segmentation = await run.new_segmentation(10.0, "membrane", "1", user_id="someone")
    await segmentation.from_numpy(labels)
    return run


def pixels(picture: bytes) -> np.ndarray[Any, Any]:
    """The pixels of a picture, (Y, X, RGB)."""
    return np.array(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def places_of(picture: bytes, colour: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Rows and columns of the pixels that are much like a colour."""
    return np.argwhere(np.abs(pixels(picture) - colour).max(axis=2) < 60)
