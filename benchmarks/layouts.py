"""The three layouts of volumes, and the numbers in them. Runs in every environment: standard library and numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VOXEL_SIZE = 10.0
"""Angstrom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a volume lies in its store; shapes in zyx.

    Parameters
    ----------
    about : str
        For readers of a table.
    shape : tuple of int
        Voxels.
    chunks : tuple of int
        Voxels of one chunk; of one inner chunk when sharded.
    shards : tuple of int or None
        Voxels of one stored object, None when that is the chunk.
    zarr_format : int
        2 or 3.
    """

    about: str
    shape: tuple[int, int, int]
    chunks: tuple[int, int, int]
    shards: tuple[int, int, int] | None = None
    zarr_format: int = 2


LAYOUTS = {
    "64": Layout(about="256 x 256 x 256 in chunks of 64, zarr 2", shape=(256, 256, 256), chunks=(64, 64, 64)),
    "256": Layout(about="256 x 1024 x 1024 in chunks of 256, zarr 2", shape=(256, 1024, 1024), chunks=(256, 256, 256)),
    "sharded": Layout(
        about="256 x 512 x 512 in chunks of 128, shards of 256, zarr 3",
        shape=(256, 512, 512),
        chunks=(128, 128, 128),
        shards=(256, 256, 256),
        zarr_format=3,
    ),
}


def layout_of(parameters: dict[str, Any]) -> Layout:
    """The layout that a work's parameters name, shrunk by their `shrink` (for trying the suite out)."""
    layout, shrink = LAYOUTS[parameters["layout"]], parameters.get("shrink", 1)

    def shrunk(size: tuple[int, int, int]) -> tuple[int, int, int]:
        z, y, x = size
        return z // shrink, y // shrink, x // shrink

    return Layout(
        about=layout.about,
        shape=shrunk(layout.shape),
        chunks=shrunk(layout.chunks),
        shards=layout.shards and shrunk(layout.shards),
        zarr_format=layout.zarr_format,
    )


def volume(layout: Layout) -> Any:
    """Values of a volume: noise, of which next to nothing compresses away, as of a tomogram.

    They are multiples of 2**-13, so that sums are exact.
    """
    import numpy as np

    noise = np.random.default_rng(7).standard_normal(layout.shape, dtype=np.float32)
    noise *= 400 * 2**13
    np.rint(noise, out=noise)
    noise /= 2**13
    return noise


def slices_of(layout: Layout, region: str) -> tuple[slice, slice, slice]:
    """The part of a volume that a region's name means, in zyx.

    ``full``; ``slab``, 16 sections from the middle; ``region``, an eighth that is aligned with no chunk.
    """
    z, y, x = layout.shape
    if region == "full":
        return slice(0, z), slice(0, y), slice(0, x)
    if region == "slab":
        return slice(z // 2, z // 2 + min(16, z // 2)), slice(0, y), slice(0, x)
    return tuple(slice(size // 4 + 1, size // 4 + 1 + size // 2) for size in (z, y, x))  # type: ignore[return-value]


def boxes_of(layout: Layout, parameters: dict[str, Any]) -> tuple[Any, int]:
    """Centres of 100 boxes in zyx voxels, (N, 3), and the boxes' edge; they lie inside the volume and overlap."""
    import numpy as np

    edge = min(32, min(layout.shape) // 4)
    half = edge // 2
    low, high = half, [size - half for size in layout.shape]
    return np.random.default_rng(11).integers(low, high, (parameters.get("boxes", 100), 3)), edge


def places_of(layout: Layout, parameters: dict[str, Any]) -> Any:
    """Centres of the same boxes as xyz in angstrom, (N, 3)."""
    centres, _ = boxes_of(layout, parameters)
    return centres[:, ::-1] * VOXEL_SIZE


def total(array: Any) -> float:
    """Sum of the values of a volume, exact in whatever order it is taken."""
    return float(array.sum(dtype="float64"))
