"""Volumes in TIFF files, with the voxel size that ImageJ and OME write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from aiocopick.convert.mrc import StoredVolume, stated
from aiocopick.errors import FormatError
from aiocopick.extras import optional

SUFFIXES = (".tif", ".tiff")

_ANGSTROM = {
    "a": 1.0,
    "å": 1.0,
    "angstrom": 1.0,
    "nm": 10.0,
    "nanometer": 10.0,
    "um": 1e4,
    "µm": 1e4,
    "μm": 1e4,
    "micron": 1e4,
    "\\u00b5m": 1e4,
}


@contextmanager
def opened(path: Path) -> Iterator[StoredVolume]:
    """Open a TIFF file; its data may be used inside of the block. It is read on access: use a thread.

    Raises
    ------
    FormatError
        It is not a volume.
    """
    tifffile = optional("tifffile", "A TIFF file")
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        if len(series.shape) != 3 or series.dtype.kind == "c":
            raise FormatError(
                f"{path}: it holds an array of shape {series.shape} ({series.axes}, {series.dtype}), not one volume",
                path=str(path),
            )
        if "S" in series.axes or not series.axes.endswith("YX"):
            # Colours are no axis of space.
            raise FormatError(f"{path}: its axes are {series.axes}, not those of a volume", path=str(path))
        if len(file.series) > 1:
            shapes = ", ".join(str(item.shape) for item in file.series[:4])
            raise FormatError(f"{path}: it holds {len(file.series)} images ({shapes}), not one volume", path=str(path))
        size = _of_ome(file) or _of_imagej(file)
        # Pages one after the other and not compressed can be mapped.
        data: Any = tifffile.memmap(path, mode="r") if series.dataoffset is not None else series.asarray()
        yield StoredVolume(data=data, voxel_size=size)


def _of_imagej(file: Any) -> tuple[float, float, float] | None:
    told = file.imagej_metadata or {}
    factor = _ANGSTROM.get(str(told.get("unit", "")).lower())
    tags = file.pages[0].tags
    spacing = told.get("spacing")
    if factor is None or spacing is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    sizes = [float(spacing)]
    for name in ("YResolution", "XResolution"):
        count, length = tags[name].value
        sizes.append(length / count if count else 0.0)
    return stated([size * factor for size in sizes])


def _of_ome(file: Any) -> tuple[float, float, float] | None:
    if not file.ome_metadata:
        return None
    pixels = next(
        (node for node in ElementTree.fromstring(file.ome_metadata).iter() if node.tag.endswith("Pixels")), None
    )
    if pixels is None:
        return None
    sizes = []
    for axis in "ZYX":
        factor = _ANGSTROM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower())
        sizes.append(float(pixels.get(f"PhysicalSize{axis}", 0)) * (factor or 0.0))
    return stated(sizes)
