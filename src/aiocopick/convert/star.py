"""RELION's particle tables in STAR files; what is in their columns is decided by :mod:`aiocopick.formats.relion`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiocopick.convert.mrc import refuse_existing
from aiocopick.errors import FormatError
from aiocopick.extras import optional
from aiocopick.formats.relion import CENTERED, PIXEL_SIZE, PIXELS
from aiocopick.storage.single_files import give_name

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".star",)
RUN_COLUMN = "rlnTomoName"
_MICROGRAPH = "rlnMicrographName"
_MISSING = frozenset({"", "nan", "NaN", "<NA>"})
"""Read as a missing value, also in quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of a STAR file.

    Parameters
    ----------
    particles : DataFrame
        A row for each particle.
    optics : DataFrame, optional
        A row for each optics group.
    """

    particles: pd.DataFrame
    optics: pd.DataFrame | None

    def pixel_sizes(self) -> list[float]:
        """Return the tilt-series pixel sizes that the optics table has, in angstrom."""
        if self.optics is None or PIXEL_SIZE not in self.optics.columns:
            return []
        return [float(size) for size in self.optics[PIXEL_SIZE]]


def read(path: Path) -> Tables:
    """Read a STAR file.

    Raises
    ------
    FormatError
        It is not a STAR file, or has no table of particles.
    """
    starfile, pd = optional("starfile", "A STAR file"), optional("pandas", "A STAR file")
    try:
        # Names like 001 must not become numbers.
        blocks = starfile.read(path, always_dict=True, parse_as_string=[RUN_COLUMN])
    except OSError:
        raise
    except Exception as error:
        raise FormatError(
            f"{path}: it cannot be read as STAR ({type(error).__name__}: {error})", path=str(path)
        ) from error
    tables = {
        name: block if isinstance(block, pd.DataFrame) else pd.DataFrame([block])
        for name, block in blocks.items()
        if isinstance(block, pd.DataFrame | dict)
    }
    found = [name for name, table in tables.items() if _has_coordinates(table)]
    if len(found) > 1 and "particles" in found:
        found = ["particles"]
    if len(found) != 1:
        raise FormatError(
            f"{path}: it has {len(found)} tables with coordinates ({', '.join([*PIXELS, *CENTERED])}), not one",
            path=str(path),
        )
    particles = tables[found[0]]
    if not len(particles):
        raise FormatError(f"{path}: its table of particles is empty", path=str(path))
    if RUN_COLUMN in particles.columns and particles[RUN_COLUMN].isna().any():
        row = int(particles[RUN_COLUMN].isna().to_numpy().argmax())
        raise FormatError(f"{path}: particle {row} has no {RUN_COLUMN}", path=str(path))
    if RUN_COLUMN not in particles.columns and _MICROGRAPH in particles.columns:
        names = particles[_MICROGRAPH].astype(str).unique()
        if len(names) > 1:
            raise FormatError(
                f"{path}: it has particles of {len(names)} tomograms ({names[0]}, {names[1]}, ...) by {_MICROGRAPH}, which "
                f"are not told apart; rename that column to {RUN_COLUMN}",
                path=str(path),
            )
    return Tables(particles=particles, optics=tables.get("optics"))


def _has_coordinates(table: pd.DataFrame) -> bool:
    return set(PIXELS).issubset(table.columns) or set(CENTERED).issubset(table.columns)


def write(path: Path, frames: list[pd.DataFrame], pixel_size: float | None, overwrite: bool) -> None:
    """Write particles of several runs, with an optics table if the pixel size of the tilt series is known.

    Raises
    ------
    AlreadyExistsError
        There is a file of that name.
    FormatError
        A run has a name that STAR files cannot hold.
    """
    starfile, pd = optional("starfile", "A STAR file"), optional("pandas", "A STAR file")
    refuse_existing(path, overwrite)
    particles = pd.concat(frames, ignore_index=True)
    particles[RUN_COLUMN] = [_quoted(name, path) for name in particles[RUN_COLUMN]]
    blocks: dict[str, Any] = {"particles": particles}
    if pixel_size is not None:
        particles["rlnOpticsGroup"] = 1
        optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["opticsGroup1"], PIXEL_SIZE: [pixel_size]}
        blocks = {"optics": pd.DataFrame(optics), **blocks}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        partial = Path(folder, path.name)
        starfile.write(blocks, partial)
        give_name(partial, path, overwrite=overwrite)


def _quoted(name: str, path: Path) -> str:
    """Return a name in quotes, if it would be read as something else without them; starfile quotes spaces.

    Raises
    ------
    FormatError
        It would be read as something else even with quotes.
    """
    if set(name) & set("'\"") or name in _MISSING or any(char.isspace() and char != " " for char in name):
        raise FormatError(
            f"{path}: a STAR file cannot hold the name of run {name!r}; export other runs", path=str(path)
        )
    special = "#" in name or name.startswith(("data_", "loop_", "_", ";"))
    return f'"{name}"' if special and " " not in name else name
