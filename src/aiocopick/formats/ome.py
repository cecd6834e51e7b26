"""OME-Zarr group metadata: which levels a volume has, at which voxel size, along which axes.

OME-Zarr 0.4 is kept in the ``.zattrs`` of a zarr 2 group, 0.5 under ``ome`` in the attributes of a zarr 3 group
(https://ngff.openmicroscopy.org). What CoPick 1.31 and 2.0 write is a subset of that. CPU only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import float_info
from typing import Any

from aiocopick.formats.ome_documents import parse_document, refuse
from aiocopick.formats.ome_units import angstrom_per

SPATIAL = ("z", "y", "x")
GROUP_DOCUMENTS = ("zarr.json", ".zattrs")
"""What must be read to know a group; ``.zgroup`` says nothing more."""
PLAIN_LEVELS = ("0", "s0")
"""What the finest level of a group without multiscale metadata is called."""
MAX_LEVELS = 64
LARGEST = float_info.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One level, as its group describes it.

    Parameters
    ----------
    path : str
        Of the array below the group (``"0"``, ``"s0"``).
    scale : tuple of float, optional
        Along z, y, x: angstrom where the group's units are lengths, else relative. None when the group does not say.
    """

    path: str
    scale: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OmeGroup:
    """What the metadata of a group says.

    Parameters
    ----------
    zarr_format : int
        2 or 3.
    datasets : tuple of Dataset
        Finest first; empty for a group without multiscale metadata.
    axes : tuple of str
        Names of the axes in array order; empty when the group does not say.
    absolute : bool
        Whether the scales are angstrom.
    metadata : dict
        The ``metadata`` object of the multiscale entry.
    """

    zarr_format: int
    datasets: tuple[Dataset, ...] = ()
    axes: tuple[str, ...] = ()
    absolute: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)

    def voxel_size(self, level: int, finest: float) -> tuple[float, float, float]:
        """Voxel size of a level along z, y, x, in angstrom.

        Parameters
        ----------
        level : int
            Index in `datasets`.
        finest : float
            Voxel size of the entity, angstrom: the finest level's where the group does not say, or says it in a unit
            that is no length. A level without scale is taken to be a factor 2 coarser than the one before it.
        """
        scale = self.datasets[level].scale
        if scale is None:
            return (finest * 2**level,) * 3
        if self.absolute:
            return scale
        reference = self.datasets[0].scale or scale
        return (
            finest * scale[0] / reference[0],
            finest * scale[1] / reference[1],
            finest * scale[2] / reference[2],
        )


def parse_group(documents: Mapping[str, bytes | None], *, path: str) -> OmeGroup | None:
    """Understand the metadata of a group.

    Parameters
    ----------
    documents : mapping
        Name in :data:`GROUP_DOCUMENTS` -> content, or None where there is none.
    path : str
        Of the group, for messages.

    Returns
    -------
    OmeGroup or None
        None when there is no group. Where both formats' metadata exist, ``zarr.json`` wins.

    Raises
    ------
    FormatError
        The metadata cannot be understood.
    """
    newer, older = documents.get("zarr.json"), documents.get(".zattrs")
    if newer is not None:
        where = f"{path}/zarr.json"
        document = parse_document(newer, path=where)
        if document.get("zarr_format") != 3:
            refuse(where, f"zarr_format is {document.get('zarr_format')!r}, not 3")
        if document.get("node_type") != "group":
            refuse(where, f"node_type is {document.get('node_type')!r}; a volume is a group of levels")
        attributes = document.get("attributes") or {}
        return _parse_attributes(attributes, 3, path=where)
    if older is not None:
        where = f"{path}/.zattrs"
        return _parse_attributes(parse_document(older, path=where), 2, path=where)
    return None


def _parse_attributes(attributes: Any, zarr_format: int, *, path: str) -> OmeGroup:
    if not isinstance(attributes, dict):
        refuse(path, "attributes are not an object")
    multiscales = attributes.get("multiscales")
    if multiscales is None:
        ome = attributes.get("ome")
        if ome is not None and not isinstance(ome, dict):
            refuse(path, "'ome' is not an object")
        multiscales = (ome or {}).get("multiscales")
    if multiscales is None or multiscales == []:
        return OmeGroup(zarr_format=zarr_format)
    if not isinstance(multiscales, list) or not isinstance(multiscales[0], dict):
        refuse(path, "'multiscales' is not a list of objects")
    entry = multiscales[0]
    names, units = _parse_axes(entry.get("axes"), path=path)
    common = _parse_scale(entry.get("coordinateTransformations"), names, path=path)
    found = entry.get("datasets")
    if not isinstance(found, list) or len(found) > MAX_LEVELS:
        refuse(path, f"'datasets' is not a list of at most {MAX_LEVELS} levels")
    factors = [angstrom_per(unit) for unit in units]
    absolute = None not in factors
    datasets = tuple(
        _parse_dataset(item, names, common, [factor or 1.0 for factor in factors] if absolute else [1.0] * 3, path=path)
        for item in found
    )
    metadata = entry.get("metadata")
    return OmeGroup(
        zarr_format=zarr_format,
        datasets=datasets,
        axes=names,
        absolute=absolute,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def _parse_axes(axes: Any, *, path: str) -> tuple[tuple[str, ...], tuple[str | None, str | None, str | None]]:
    """Names of all axes, units of z, y, x."""
    if axes is None:
        return (), (None, None, None)
    # Version 0.3 lists plain names, later ones objects.
    items = [{"name": axis} if isinstance(axis, str) else axis for axis in axes] if isinstance(axes, list) else None
    if items is None or not all(isinstance(axis, dict) and isinstance(axis.get("name"), str) for axis in items):
        refuse(path, "'axes' is not a list of named axes")
    names = tuple(axis["name"] for axis in items)
    if len(set(names)) != len(names):
        refuse(path, f"axes {', '.join(names)} are not unique")
    units: dict[str, str | None] = {}
    for axis in items:
        unit = axis.get("unit")
        if unit is not None and not isinstance(unit, str):
            refuse(path, f"the unit of axis {axis['name']} is not text")
        units[axis["name"]] = unit
    return names, (units.get("z"), units.get("y"), units.get("x"))


def _parse_dataset(
    item: Any, names: tuple[str, ...], common: tuple[float, float, float] | None, factors: list[float], *, path: str
) -> Dataset:
    level = item.get("path") if isinstance(item, dict) else None
    if not isinstance(level, str) or not is_level_path(level):
        refuse(path, f"a level's path is {level!r}, which names nothing below the group")
    scale = _parse_scale(item.get("coordinateTransformations"), names, path=path)
    if scale is None:
        return Dataset(path=level, scale=None)
    z, y, x = (
        own * shared * factor for own, shared, factor in zip(scale, common or (1.0, 1.0, 1.0), factors, strict=True)
    )
    return Dataset(path=level, scale=(z, y, x))


def is_level_path(level: str) -> bool:
    """Whether a level's path stays below its group."""
    return all(segment not in ("", ".", "..") for segment in level.split("/")) and "\\" not in level


def _parse_scale(transformations: Any, names: tuple[str, ...], *, path: str) -> tuple[float, float, float] | None:
    """The product of the scales of a list of transformations, along z, y, x."""
    if transformations is None:
        return None
    if not isinstance(transformations, list):
        refuse(path, "'coordinateTransformations' is not a list")
    found: tuple[float, float, float] | None = None
    for item in transformations:
        if not isinstance(item, dict):
            refuse(path, "a coordinate transformation is not an object")
        if item.get("type") != "scale" or "scale" not in item:
            continue
        scale = item["scale"]
        if (
            not isinstance(scale, list)
            or len(scale) < 3
            or not all(isinstance(value, int | float) and 0 < value <= LARGEST for value in scale)
        ):
            refuse(path, f"a scale is {scale!r}, not positive numbers, one per axis")
        if names and len(names) != len(scale):
            refuse(path, f"a scale has {len(scale)} numbers for {len(names)} axes")
        z, y, x = (float(scale[index]) for index in spatial_axes(names, len(scale), path=path))
        found = (z, y, x) if found is None else (found[0] * z, found[1] * y, found[2] * x)
    return found


def spatial_axes(names: tuple[str, ...], ndim: int, *, path: str) -> tuple[int, int, int]:
    """Positions of z, y and x in an array: by name where the group names them, else the last three.

    Raises
    ------
    FormatError
        The array has fewer than three axes, or another number of axes than the group names.
    """
    if ndim < 3:
        refuse(path, f"a volume has at least 3 axes, this one {ndim}")
    if names and len(names) != ndim:
        refuse(path, f"the group names {len(names)} axes, its arrays have {ndim}")
    if not all(axis in names for axis in SPATIAL):
        return (ndim - 3, ndim - 2, ndim - 1)
    return (names.index("z"), names.index("y"), names.index("x"))
