"""Voxel sizes of the levels of a volume. The only place that decides them.

The path (for a segmentation its name) gives the voxel size of the finest level, which is the first one that the file
lists, even if its array is missing. The file only gives the order of the axes and the ratios of its levels: the ratio
of their scales, in any unit; for a level without a usable scale the ratio of the shapes, for each axis; without shapes
a factor 2, which is CoPick's. Axes that the group does not name are those that the array names (``dimension_names``). The
path of an object map says nothing: its file gives the voxel size, in any unit of length and without a unit in angstrom;
1 angstrom if it gives none.

The first voxel of every level is at the origin of the run, as CoPick reads picks: translations are not applied.
Contradictions are for :func:`contradictions` to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from aiocopick.volumes.ome import SPATIAL, OmeGroup
from aiocopick.volumes.ome_transforms import Triple
from aiocopick.volumes.pyramid import factors_between

ANGSTROM_PER_UNIT: dict[str, float] = {
    "angstrom": 1.0,
    "yoctometer": 1e-14,
    "zeptometer": 1e-11,
    "attometer": 1e-8,
    "femtometer": 1e-5,
    "picometer": 1e-2,
    "nanometer": 1e1,
    "micrometer": 1e4,
    "millimeter": 1e7,
    "centimeter": 1e8,
    "decimeter": 1e9,
    "meter": 1e10,
    "hectometer": 1e12,
    "kilometer": 1e13,
    "megameter": 1e16,
    "gigameter": 1e19,
    "terameter": 1e22,
    "petameter": 1e25,
    "exameter": 1e28,
    "zettameter": 1e31,
    "yottameter": 1e34,
    "inch": 2.54e8,
    "foot": 3.048e9,
    "yard": 9.144e9,
    "mile": 1.609344e13,
    "parsec": 3.0856775814913673e26,
}
"""The length units of the OME-Zarr specification (https://ngff.openmicroscopy.org/0.5/#axes-md)."""

# Not in the specification, but written by converters.
_SYMBOLS = {
    "a": "angstrom",
    "å": "angstrom",
    "ångström": "angstrom",
    "ångstrom": "angstrom",
    "angstroem": "angstrom",
    "pm": "picometer",
    "nm": "nanometer",
    "um": "micrometer",
    "µm": "micrometer",
    "μm": "micrometer",
    "micron": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
}


def angstrom_per(unit: str | None) -> float | None:
    """Angstrom in one of a unit.

    Parameters
    ----------
    unit : str, optional
        Of an axis of an OME-Zarr group; an axis without unit is in angstrom, as CoPick reads it.

    Returns
    -------
    float or None
        None if it is not a length unit (``"pixel"``): such scales only give ratios.
    """
    if unit is None or unit == "":
        return 1.0
    name = unit.strip().casefold().replace("metre", "meter")
    for spelling in (name, name.removesuffix("s") if len(name) > 3 else name):
        known = ANGSTROM_PER_UNIT.get(_SYMBOLS.get(spelling, spelling))
        if known is not None:
            return known
    return None


Voxels: TypeAlias = tuple[int, int, int]
"""Voxels of a level along z, y, x."""

_LEAST, _MOST = 1e-100, 1e100
_ROUNDING = 0.000501
"""Angstrom. Paths state three decimals."""


def needs_shapes(group: OmeGroup, index: int) -> bool:
    """Return True if the voxel size of a level follows from the shapes of the levels up to it."""
    first, scale = group.datasets[0].transform.scale, group.datasets[index].transform.scale
    return index > 0 and ratio_of_scales(first, scale) is None


def voxel_sizes(group: OmeGroup, finest: float | None, shapes: Sequence[Voxels | None]) -> list[Triple]:
    """Compute the voxel size of each level along z, y, x, in angstrom.

    Parameters
    ----------
    group : OmeGroup
        The metadata of the volume, with at least one level.
    finest : float, optional
        Voxel size that the path states; None for object maps.
    shapes : sequence of tuple
        Voxels of each level along z, y, x; None where they are not known.
    """
    datasets = group.datasets
    first = (finest,) * 3 if finest is not None else stated_size(group) or (1.0, 1.0, 1.0)
    sizes: list[Triple] = [first]
    for index in range(1, len(datasets)):
        ratio = ratio_of_scales(datasets[0].transform.scale, datasets[index].transform.scale)
        origin = first
        if ratio is None:
            # The next finer level whose shape is known.
            above = next((at for at in range(index - 1, -1, -1) if shapes[at] is not None), None)
            fine, coarse = None if above is None else shapes[above], shapes[index]
            if above is not None and fine is not None and coarse is not None:
                origin, ratio = sizes[above], ratio_of_shapes(fine, coarse)
            else:
                origin, ratio = sizes[index - 1], (2.0, 2.0, 2.0)
        sizes.append(_times(origin, ratio))
    return sizes


def ratio_of_shapes(fine: Voxels, coarse: Voxels) -> Triple:
    """Return how much coarser a level is along z, y, x: a whole number if rounding the shape explains the difference."""
    z, y, x = (
        float(factor or max(1, above) / max(1, size))
        for factor, above, size in zip(factors_between(fine, coarse), fine, coarse, strict=True)
    )
    return z, y, x


def stated_size(group: OmeGroup) -> Triple | None:
    """Return the voxel size that the file gives for its finest level, in angstrom; None if it does not give a length."""
    scale = group.datasets[0].transform.scale
    factors = [angstrom_per(unit) for unit in group.units]
    if scale is None or None in factors:
        return None
    z, y, x = (value * (factor or 1.0) for value, factor in zip(scale, factors, strict=True))
    return (z, y, x) if all(_LEAST <= value <= _MOST for value in (z, y, x)) else None


def contradictions(group: OmeGroup, finest: float | None, shapes: Sequence[Voxels | None]) -> Iterator[str]:
    """Say where the file contradicts the path, or itself, by more than rounding.

    Parameters
    ----------
    group, finest, shapes
        As for :func:`voxel_sizes`.

    Yields
    ------
    str
        A sentence each.
    """
    first = group.datasets[0].transform
    if finest is not None and first.scale is not None:
        for axis, unit, value in zip(SPATIAL, group.units, first.scale, strict=True):
            factor = None if unit is None else angstrom_per(unit)
            if factor is not None and abs(value * factor - finest) > _ROUNDING + 1e-6 * finest:
                yield (
                    f"the file gives a voxel size of {value * factor:.6g} angstrom along {axis}, "
                    f"the path {finest:.6g}, which is used"
                )
    if first.translation is not None:
        scale = first.scale or (1.0, 1.0, 1.0)
        if any(abs(offset) > 1e-3 * size for offset, size in zip(first.translation, scale, strict=True)):
            yield f"the file moves the volume by {first.translation} along z, y, x; translations are not applied"
    for dataset in group.datasets[1:]:
        here = dataset.transform
        if here.translation is None or here.scale is None:
            continue
        start = first.translation or (0.0, 0.0, 0.0)
        if any(abs(a - b) > size for a, b, size in zip(here.translation, start, here.scale, strict=True)):
            yield (
                f"the file moves level {dataset.path!r} by {here.translation} along z, y, x, more than a voxel from "
                "the finest level; translations are not applied"
            )
    known = [
        (dataset.path, dataset.transform.scale, shape)
        for dataset, shape in zip(group.datasets, shapes, strict=True)
        if shape is not None
    ]
    for (_, finer, fine), (path, coarser, coarse) in pairwise(known):
        if any(size > above for above, size in zip(fine, coarse, strict=True)):
            yield f"level {path!r} is listed after a coarser one: its shape is {coarse}, that of the other {fine}"
        ratio = ratio_of_scales(finer, coarser)
        # A shape that was rounded is off by less than a voxel of the coarser level.
        if ratio is not None and any(
            abs(size * factor - above) > 1.001 * factor for above, size, factor in zip(fine, coarse, ratio, strict=True)
        ):
            yield f"the scales make level {path!r} coarser by {_shown(ratio)} along z, y, x, its shape is {coarse} of {fine}"


def ratio_of_scales(first: Triple | None, scale: Triple | None) -> Triple | None:
    """Return how much coarser one scale is than another along z, y, x; None if one of them is not usable."""
    if first is None or scale is None:
        return None
    if not all(_LEAST <= value <= _MOST for value in (*first, *scale)):
        return None
    ratio = scale[0] / first[0], scale[1] / first[1], scale[2] / first[2]
    # Beyond that, positions overflow.
    return ratio if all(1e-50 <= value <= 1e50 for value in ratio) else None


def _times(size: Triple, ratio: Triple) -> Triple:
    return size[0] * ratio[0], size[1] * ratio[1], size[2] * ratio[2]


def _shown(values: Triple) -> str:
    return f"({', '.join(f'{value:.6g}' for value in values)})"
