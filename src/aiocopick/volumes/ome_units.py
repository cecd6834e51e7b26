"""Length units of OME-Zarr axes, in angstrom."""

from __future__ import annotations

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
