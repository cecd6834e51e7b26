"""OME-Zarr group metadata: the levels of a volume, their axes, and the ratios of their voxel sizes.

OME-Zarr 0.4 is kept in the ``.zattrs`` of a zarr 2 group, 0.5 under ``ome`` in the attributes of a zarr 3 group
(https://ngff.openmicroscopy.org). What CoPick 1.31 and 2.0 write is a subset of that.

What is needed to read voxels (the list of levels and their paths) is checked strictly. What only describes them (axes,
units, transformations, names, versions) never makes a volume unreadable: nonsense in it is ignored, and kept in
:attr:`OmeGroup.notes`. CPU only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from aiocopick.volumes.ome_documents import parse_document, refuse
from aiocopick.volumes.ome_transforms import UNKNOWN, Transform, Triple, parse_transforms

SPATIAL = ("z", "y", "x")
GROUP_DOCUMENTS = ("zarr.json", ".zattrs")
"""The documents that describe a group; ``.zgroup`` contains nothing more."""
MAX_LEVELS = 64

Units: TypeAlias = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One level, as its group describes it.

    Parameters
    ----------
    path : str
        Of the array below the group (``"0"``, ``"s0"``).
    transform : Transform
        Position of its voxels, in the units of the axes; that of the whole image is included.
    """

    path: str
    transform: Transform = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class OmeGroup:
    """The content of a group's metadata.

    Parameters
    ----------
    zarr_format : int
        2 or 3.
    datasets : tuple of Dataset
        Finest first; empty for a group without multiscale metadata.
    axes : tuple of str
        Names of the axes in array order; empty when the group does not say.
    units : tuple of str, optional
        Units along z, y, x; None where the group does not say.
    metadata : dict
        The ``metadata`` object of the multiscale entry.
    notes : tuple of str
        A sentence for each value that was ignored because it is nonsense.
    """

    zarr_format: int
    datasets: tuple[Dataset, ...] = ()
    axes: tuple[str, ...] = ()
    units: Units = (None, None, None)
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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
        None if there is no group. If the metadata of both formats exist, ``zarr.json`` is used.

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
        if document.get("node_type") == "array":
            # An array without a group around it.
            return OmeGroup(zarr_format=3)
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
    found = entry.get("datasets")
    if found is None:
        return OmeGroup(zarr_format=zarr_format)
    if not isinstance(found, list) or len(found) > MAX_LEVELS:
        refuse(path, f"'datasets' is not a list of at most {MAX_LEVELS} levels")
    notes: list[str] = []
    names, count, units = _parse_axes(_axes_of(entry), notes)
    positions = _positions(names, len(names)) if names else None

    def transform(item: dict[str, Any], of: str) -> Transform:
        return parse_transforms(item.get("coordinateTransformations"), positions, count, of=of, notes=notes)

    whole = transform(entry, "the image")
    datasets = []
    for item in found:
        level = _level_path(item, path)
        datasets.append(Dataset(path=level, transform=transform(item, f"level {level!r}").within(whole)))
    metadata = entry.get("metadata")
    return OmeGroup(
        zarr_format=zarr_format,
        datasets=tuple(datasets),
        axes=names,
        units=units,
        metadata=metadata if isinstance(metadata, dict) else {},
        notes=tuple(notes),
    )


def _axes_of(entry: dict[str, Any]) -> Any:
    """Return the axes of a multiscale entry. Version 0.6 has them in the coordinate system that the levels are put into."""
    systems = entry.get("coordinateSystems")
    if "axes" in entry or not isinstance(systems, list):
        return entry.get("axes")
    known = [system for system in systems if isinstance(system, dict)]
    transforms = [item for level in entry["datasets"] if isinstance(level, dict) for item in _listed(level)]
    outputs = [item.get("output") for item in transforms if isinstance(item, dict)]
    chosen = [system for system in known if system.get("name") in outputs] or known
    return chosen[0].get("axes") if chosen else None


def _listed(level: dict[str, Any]) -> list[Any]:
    found = level.get("coordinateTransformations")
    return found if isinstance(found, list) else []


def _parse_axes(axes: Any, notes: list[str]) -> tuple[tuple[str, ...], int, Units]:
    """Names of all axes (none if they are unusable), their number, and the units of z, y, x."""
    if axes is None:
        return (), 0, (None, None, None)
    # Version 0.3 lists plain names, later ones objects.
    items = [{"name": axis} if isinstance(axis, str) else axis for axis in axes] if isinstance(axes, list) else []
    if len(items) < 3 or not all(isinstance(axis, dict) for axis in items):
        notes.append("'axes' is not a list of at least three axes")
        return (), 0, (None, None, None)
    names: tuple[str, ...] = ()
    if not all(isinstance(axis.get("name"), str) for axis in items):
        notes.append("not every axis has a name")
    else:
        names = tuple(_axis_name(axis["name"]) for axis in items)
        if len(set(names)) != len(names):
            notes.append(f"the axes {', '.join(names)} are not unique")
            names = ()
    positions = _positions(names, len(items))
    units = []
    for position in positions:
        unit = items[position].get("unit")
        if unit is not None and not isinstance(unit, str):
            notes.append(f"the unit of axis {position} is not text")
            unit = None
        units.append(unit or None)
    z, y, x = units
    return names, len(items), (z, y, x)


def _axis_name(name: str) -> str:
    """A name of an axis; those of space in the spelling of the specification."""
    plain = name.strip().casefold()
    return plain if plain in SPATIAL else name


def axis_names(value: Any) -> tuple[str, ...]:
    """Return the names in a list of dimensions (``dimension_names``, ``_ARRAY_DIMENSIONS``); empty if z, y and x are not
    among them once each, because a name for a part of the axes does not tell their order.
    """
    if not isinstance(value, list) or not all(name is None or isinstance(name, str) for name in value):
        return ()
    names = tuple(_axis_name(name or "") for name in value)
    return names if all(names.count(axis) == 1 for axis in SPATIAL) else ()


def with_axes(group: OmeGroup, names: tuple[str, ...]) -> OmeGroup:
    """Return the description of a group that does not name its axes, with those that its arrays name."""
    if group.axes or not names:
        return group
    # The last three numbers were taken for z, y, x.
    order = [names.index(axis) - (len(names) - 3) for axis in SPATIAL]

    def arranged(numbers: Triple | None) -> Triple | None:
        if numbers is None or min(order) < 0:
            return None
        z, y, x = (numbers[at] for at in order)
        return z, y, x

    datasets = tuple(
        replace(
            dataset,
            transform=Transform(arranged(dataset.transform.scale), arranged(dataset.transform.translation)),
        )
        for dataset in group.datasets
    )
    return replace(group, axes=names, datasets=datasets)


def _level_path(item: Any, where: str) -> str:
    level = item.get("path") if isinstance(item, dict) else None
    if isinstance(level, int) and not isinstance(level, bool):
        level = str(level)
    # Written by others with "./" before it or "/" after it, which says the same.
    plain = "/".join(part for part in level.split("/") if part not in ("", ".")) if isinstance(level, str) else ""
    if level is None or not is_level_path(plain):
        refuse(where, f"a level's path is {level!r}, which names nothing below the group")
    return plain


def is_level_path(level: str) -> bool:
    """Return True if a level's path stays below its group."""
    return all(segment not in ("", ".", "..") for segment in level.split("/")) and not {"\\", "\0"} & set(level)


def spatial_axes(names: tuple[str, ...], ndim: int, *, path: str) -> tuple[int, int, int]:
    """Positions of z, y and x in an array: by name where the group names them, else the last three.

    Raises
    ------
    FormatError
        The array has fewer than three axes.
    """
    if ndim < 3:
        refuse(path, f"a volume has at least 3 axes, this one {ndim}")
    return _positions(names, ndim)


def _positions(names: tuple[str, ...], ndim: int) -> tuple[int, int, int]:
    # Where the group names more or fewer axes than there are, they are those at the end: leading ones are left out.
    shift = ndim - len(names)
    if all(axis in names and names.index(axis) + shift >= 0 for axis in SPATIAL):
        return (names.index("z") + shift, names.index("y") + shift, names.index("x") + shift)
    return (ndim - 3, ndim - 2, ndim - 1)
