"""Conversion of picks to and from RELION particle tables: CPU only, on arrays in memory.

Conventions, as copick writes and reads them (``copick.util.relion`` and RELION 4/5's ``ParticleSet``):

- angles are intrinsic ZYZ Euler angles in degrees of the *inverse* of the pick's rotation;
- a particle's orientation is the subtomogram's orientation times the particle's own;
- the position of a particle is its coordinate minus the subtomogram's orientation times its origin
(``rlnOrigin{X,Y,Z}Angst``);
- RELION 5 coordinates are in angstrom about the centre of the tomogram, RELION 4 coordinates in pixels.

Tables need pandas and scipy (extra ``table``), imported when a function is called.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.extras import optional

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

PIXELS = ["rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"]
CENTERED = ["rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst"]
ORIGINS = ["rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"]
ORIGINS_IN_PIXELS = ["rlnOriginX", "rlnOriginY", "rlnOriginZ"]
ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
SUBTOMOGRAM_ANGLES = ["rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"]
TUBE = "rlnHelicalTubeID"
TRACK_LENGTH = "rlnHelicalTrackLengthAngst"
PIXEL_SIZE = "rlnTomoTiltSeriesPixelSize"

# A quarter turn about Y: RELION's filament poses are the filament's frame times this.
_QUARTER_TURN = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """The picks in a RELION table.

    Parameters
    ----------
    positions : ndarray, (N, 3) float64
        x, y, z in angstrom from the corner of the tomogram.
    transforms : ndarray, (N, 4, 4) float64
        Rotations, without translation.
    instance_ids : ndarray, (N,) int64, or None
        Filament ids (``rlnHelicalTubeID``), if the table has them.
    """

    positions: np.ndarray
    transforms: np.ndarray
    instance_ids: np.ndarray | None


def needs_center(frame: pd.DataFrame) -> bool:
    """Return True if a table has coordinates about the tomogram's centre, so that reading it needs that centre."""
    return set(CENTERED).issubset(frame.columns)


def picks_to_frame(
    positions: np.ndarray,
    transforms: np.ndarray,
    *,
    run_name: str,
    tomogram_center: Sequence[float] | None = None,
    tilt_series_pixel_size: float | None = None,
    voxel_size: float | None = None,
    instance_ids: np.ndarray | None = None,
    filament: bool = False,
    polarity_known: bool | Sequence[bool] | np.ndarray = False,
) -> pd.DataFrame:
    """Return a RELION particle table of picks.

    Parameters
    ----------
    positions : ndarray, (N, 3)
        x, y, z in angstrom.
    transforms : ndarray, (N, 4, 4)
        Homogeneous transforms; their translations are added to the positions.
    run_name : str
        Written as ``rlnTomoName``.
    tomogram_center : sequence of 3 floats, optional
        x, y, z in angstrom. Gives the columns ``rlnCenteredCoordinate{X,Y,Z}Angst``.
    tilt_series_pixel_size : float, optional
        In angstrom. Gives the columns ``rlnCoordinate{X,Y,Z}``, in tilt-series pixels.
    voxel_size : float, optional
        In angstrom; the unit of ``rlnCoordinate{X,Y,Z}`` when neither of the above is known.
    instance_ids : ndarray, (N,), optional
        Filament ids, needed with `filament`.
    filament : bool
        Write RELION's filament convention: the frame as the subtomogram's orientation, tube ids, track lengths.
    polarity_known : bool or (N,) bools
        With `filament`: true if the order of the points follows the polarity.

    Raises
    ------
    ValueError
        A transform is not rigid, no coordinates can be written, or filament ids are missing.
    """
    make: Callable[..., pd.DataFrame] = optional("pandas", "A data frame").DataFrame
    positions = np.asarray(positions, dtype=float).reshape(-1, 3)
    transforms = _normalized(np.asarray(transforms, dtype=float).reshape(-1, 4, 4))
    located = positions + transforms[:, :3, 3]
    columns: dict[str, Any] = {"rlnTomoName": [run_name] * len(positions)}
    pixel_size = tilt_series_pixel_size if tilt_series_pixel_size is not None else voxel_size
    if tilt_series_pixel_size is not None or tomogram_center is None:
        if pixel_size is None:
            raise ValueError(
                f"Run {run_name!r} has no tomogram and no voxel spacing, so RELION coordinates have no unit; pass "
                "tilt_series_pixel_size or tomogram_center."
            )
        columns |= dict(zip(PIXELS, (located / float(pixel_size)).T, strict=True))
    rotations = transforms[:, :3, :3]
    if filament:
        columns |= _filament_columns(located, rotations, instance_ids, polarity_known, run_name)
    else:
        columns |= dict(zip(ANGLES, _angles(rotations).T, strict=True))
    if tomogram_center is not None:
        columns |= dict(zip(CENTERED, (located - np.asarray(tomogram_center, dtype=float)).T, strict=True))
    return make(columns)


def frame_to_picks(
    frame: pd.DataFrame,
    *,
    voxel_size: float | None = None,
    tomogram_center: Sequence[float] | None = None,
    tilt_series_pixel_size: float | None = None,
    optics: pd.DataFrame | None = None,
    relion_version: str | None = None,
) -> Particles:
    """Return the picks of a RELION particle table whose rows all belong to one run.

    Centred coordinates are preferred if the centre is known, then tilt-series pixels, then pixels of `voxel_size`.

    Parameters
    ----------
    frame : DataFrame
        RELION particles.
    voxel_size : float, optional
        In angstrom; the unit of pixel coordinates for which no tilt-series pixel size is known.
    tomogram_center : sequence of 3 floats, optional
        x, y, z in angstrom.
    tilt_series_pixel_size : float, optional
        In angstrom; overrides `optics`.
    optics : DataFrame, optional
        The optics table of the STAR file.
    relion_version : {"relion4", "relion5"}, optional
        Require pixel coordinates, or centred ones.

    Raises
    ------
    ValueError
        Columns are missing, or the unit or centre of the coordinates is unknown.
    """
    if relion_version not in (None, "relion4", "relion5"):
        raise ValueError(f"Unknown RELION version {relion_version!r}; expected 'relion4' or 'relion5'.")
    if not needs_center(frame) and not set(PIXELS).issubset(frame.columns):
        raise ValueError("DataFrame does not contain required RELION columns.")
    if {TUBE, TRACK_LENGTH}.issubset(frame.columns):
        # The points of a filament belong together, in their order along it.
        names = ["rlnTomoName"] if "rlnTomoName" in frame.columns else []
        frame = frame.sort_values([*names, TUBE, TRACK_LENGTH], kind="stable").reset_index(drop=True)
    coordinates = _coordinates(frame, voxel_size, tomogram_center, tilt_series_pixel_size, optics, relion_version)
    subtomograms = _rotations(frame, SUBTOMOGRAM_ANGLES)
    origins = _origins(frame)
    if origins is not None:
        coordinates = coordinates - np.einsum("nij,nj->ni", subtomograms, origins)
    transforms = np.zeros((len(frame), 4, 4))
    transforms[:, :3, :3] = np.einsum("nij,njk->nik", subtomograms, _rotations(frame, ANGLES))
    transforms[:, 3, 3] = 1.0
    return Particles(positions=coordinates, transforms=transforms, instance_ids=_tube_ids(frame))


def _coordinates(
    frame: pd.DataFrame,
    voxel_size: float | None,
    tomogram_center: Sequence[float] | None,
    tilt_series_pixel_size: float | None,
    optics: pd.DataFrame | None,
    relion_version: str | None,
) -> np.ndarray:
    centered = None if relion_version == "relion4" else _columns(frame, CENTERED)
    has_pixels = set(PIXELS).issubset(frame.columns)
    if relion_version == "relion5" and centered is None:
        raise ValueError(f"RELION 5 tables have the columns {', '.join(CENTERED)}; they are missing in this table.")
    if centered is not None:
        if tomogram_center is not None:
            return np.asarray(centered + np.asarray(tomogram_center, dtype=float))
        if relion_version == "relion5" or not has_pixels:
            raise ValueError(
                "Centred RELION coordinates need the centre of the tomogram; pass tomogram_center, or add the tomogram "
                "to the run first."
            )
    pixels = _columns(frame, PIXELS)
    if pixels is None:
        raise ValueError(f"The table has none of the columns {', '.join(PIXELS)}.")
    sizes = _pixel_sizes(frame, tilt_series_pixel_size, optics)
    if sizes is not None:
        return np.asarray(pixels * sizes[:, None])
    if voxel_size is None:
        raise ValueError(
            "The unit of rlnCoordinateX/Y/Z is unknown; pass tilt_series_pixel_size, or add a voxel spacing to the run."
        )
    logger.warning(
        "The table has no tilt-series pixel size: rlnCoordinateX/Y/Z are read as pixels of %g angstrom, the voxel size of "
        "the run's tomograms. Pass tilt_series_pixel_size if they are pixels of the tilt series.",
        voxel_size,
    )
    return np.asarray(pixels * float(voxel_size))


def _pixel_sizes(
    frame: pd.DataFrame, tilt_series_pixel_size: float | None, optics: pd.DataFrame | None
) -> np.ndarray | None:
    """Return the tilt-series pixel size of every row, in angstrom; None if it is unknown."""
    if tilt_series_pixel_size is not None:
        return np.full(len(frame), _checked_size(tilt_series_pixel_size))
    if optics is None or not len(optics) or PIXEL_SIZE not in optics.columns:
        if PIXEL_SIZE not in frame.columns:
            return None
        return np.array([_checked_size(size) for size in frame[PIXEL_SIZE]])
    sizes = optics[PIXEL_SIZE].map(_checked_size)
    if len(optics) == 1:
        return np.full(len(frame), float(sizes.iloc[0]))
    for group in ("rlnOpticsGroup", "rlnOpticsGroupName"):
        if group in frame.columns and group in optics.columns:
            if optics[group].duplicated().any():
                raise ValueError(f"The optics table has several groups of the same {group}.")
            values = frame[group].map(dict(zip(optics[group], sizes, strict=True)))
            if values.isna().any():
                raise ValueError(f"Particles name optics groups ({group}) that the optics table does not have.")
            return values.to_numpy(dtype=float)
    raise ValueError("The optics table has several groups, and the particles do not name their group.")


def _checked_size(value: Any) -> float:
    try:
        size = float(value)
    except (TypeError, ValueError):
        size = np.nan
    if not 0 < size < np.inf:
        raise ValueError(f"The tilt-series pixel size is {value!r}, not a positive number.")
    return size


def _columns(frame: pd.DataFrame, names: list[str]) -> np.ndarray | None:
    """Return the numbers in columns that belong together; None if the table has none of them.

    Raises
    ------
    ValueError
        The table has only some of them, or one of them twice, or a value is not a finite number: left out, positions and
        orientations would be wrong silently.
    """
    count = [int((frame.columns == name).sum()) for name in names]
    if not any(count):
        return None
    if count != [1] * len(names):
        has = ", ".join(f"{number} {name}" for number, name in zip(count, names, strict=True))
        raise ValueError(f"The table has an incomplete set of columns ({has}); one of each is needed, or none.")
    columns = [_numbers(frame[name], name) for name in names]
    return np.stack(columns, axis=1)


def _numbers(column: pd.Series[Any], name: str) -> np.ndarray:
    try:
        values = column.to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not a column of numbers ({error}).") from None
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(f"{name} of particle {int(np.argmin(finite))} is not a finite number.")
    return values


def _origins(frame: pd.DataFrame) -> np.ndarray | None:
    origins = _columns(frame, ORIGINS)
    if origins is None:
        pixels = _columns(frame, ORIGINS_IN_PIXELS)
        if pixels is not None and pixels.any():
            raise ValueError(
                f"The table has shifts in pixels ({', '.join(ORIGINS_IN_PIXELS)}), as RELION 3.0 writes them, and no pixel "
                f"size of their images; convert them to {', '.join(ORIGINS)}."
            )
    return origins


def _tube_ids(frame: pd.DataFrame) -> np.ndarray | None:
    found = _columns(frame, [TUBE])
    if found is None:
        return None
    if frame[TUBE].dtype.kind in "iu":
        return frame[TUBE].to_numpy().astype(np.int64)
    values = found[:, 0]
    exact = (values == np.rint(values)) & (np.abs(values) < 2.0**53)
    if not exact.all():
        raise ValueError(f"{TUBE} of particle {int(np.argmin(exact))} is not a whole number.")
    return values.astype(np.int64)


def _scipy() -> Any:
    return optional("scipy.spatial.transform", "RELION's Euler angles").Rotation


def _rotations(frame: pd.DataFrame, names: list[str]) -> np.ndarray:
    """(N, 3, 3) rotations of Euler angle columns; identities where there are none."""
    rotation = _scipy()
    angles = _columns(frame, names)
    if angles is None or not len(angles):
        return np.tile(np.eye(3), (len(frame), 1, 1))
    return np.asarray(rotation.from_euler("ZYZ", angles, degrees=True).inv().as_matrix()).reshape(-1, 3, 3)


def _angles(rotations: np.ndarray) -> np.ndarray:
    """Return (N, 3) Euler angles in degrees; zeros, with a warning, for matrices that are not rotations
    (reflections).
    """
    rotation = _scipy()
    angles = np.zeros((len(rotations), 3))
    proper = np.linalg.det(rotations) > 0
    # The angles of an identity are zeros; asking for them would only warn of gimbal lock.
    wanted = proper & ~np.isclose(rotations, np.eye(3)).all(axis=(1, 2))
    if wanted.any():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Gimbal lock")
            angles[wanted] = rotation.from_matrix(rotations[wanted]).inv().as_euler("ZYZ", degrees=True)
    if not proper.all():
        warnings.warn(
            f"{np.count_nonzero(~proper)} of {len(rotations)} transforms are not rotations; their RELION angles are 0.",
            UserWarning,
            stacklevel=4,
        )
    return angles


def _normalized(transforms: np.ndarray) -> np.ndarray:
    """Transforms divided by their homogeneous coordinate."""
    bottom = transforms[:, 3]
    perspective = np.flatnonzero((np.abs(bottom[:, :3]) > 1e-8).any(axis=1))
    if perspective.size:
        raise ValueError(f"Transforms {perspective.tolist()[:20]} have perspective terms, which RELION cannot express.")
    flat = np.flatnonzero(np.abs(bottom[:, 3]) <= 1e-8)
    if flat.size:
        raise ValueError(f"Transforms {flat.tolist()[:20]} have a homogeneous coordinate of 0.")
    return np.asarray(transforms / bottom[:, 3, None, None])


def _filament_columns(
    located: np.ndarray,
    rotations: np.ndarray,
    instance_ids: np.ndarray | None,
    polarity_known: bool | Sequence[bool] | np.ndarray,
    run_name: str,
) -> dict[str, np.ndarray]:
    """Return the columns of RELION's filament convention, as in its ``get_particle_poses/filaments.py``."""
    count = len(located)
    known = np.asarray(polarity_known, dtype=bool)
    if known.ndim > 1 or (known.ndim == 1 and len(known) != count):
        raise ValueError(f"polarity_known has shape {known.shape}; expected a bool or one value per pick ({count}).")
    if instance_ids is None or (np.asarray(instance_ids) < 1).any():
        raise ValueError(
            f"Picks in run {run_name!r} have no filament id (instance_id < 1); assign them, or pass filament=False."
        )
    ids = np.asarray(instance_ids, dtype=np.int64)
    lengths = np.zeros(count)
    for tube in np.unique(ids):
        index = np.flatnonzero(ids == tube)
        lengths[index[1:]] = np.cumsum(np.linalg.norm(np.diff(located[index], axis=0), axis=1))
    columns = dict(zip(SUBTOMOGRAM_ANGLES, _angles(rotations @ np.array(_QUARTER_TURN)).T, strict=True))
    columns |= dict(zip(ANGLES, (np.zeros(count), np.full(count, 90.0), np.zeros(count)), strict=True))
    columns |= {"rlnAngleTiltPrior": np.full(count, 90.0), "rlnAnglePsiPrior": np.zeros(count)}
    return columns | {
        TUBE: ids,
        TRACK_LENGTH: lengths,
        # RELION reads a missing column as 0.5, a direction that refinement may flip.
        "rlnAnglePsiFlipRatio": np.where(np.broadcast_to(known, (count,)), 0.0, 0.5),
    }


__all__ = ["Particles", "frame_to_picks", "needs_center", "picks_to_frame"]
