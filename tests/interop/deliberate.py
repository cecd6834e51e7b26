"""Where the facade answers differently from copick on purpose: the steps concerned, and why.

`docs/coming-from-copick.md` has a row for each; a test compares them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A difference that is meant.

    Attributes
    ----------
    title : str
        First cell of its row in the documentation.
    steps : tuple of str
        Globs of the steps of `exercise.py` and `use_tools.py` where it shows.
    """

    title: str
    steps: tuple[str, ...]


DIFFERENCES = (
    Difference(
        "`delete_voxel_spacings(size)` on a run whose spacings were not looked at",
        ("delete_voxel_spacings", "voxel spacings left", "everything left"),
    ),
    Difference(
        "Coarse levels of segmentations",
        ("* multilabel * coarser", "exported segmentation.zarr"),
    ),
    Difference("Coarse levels of volumes with an odd number of voxels", ("exported tomogram.zarr",)),
    Difference("`run_name` in a picks file", ("* picks alice s1 ribosome file",)),
)


LACKING_IN_1 = (
    # `CopickFeatures.from_numpy` and `CopickObject.has_density_map` came with copick 2.
    "features from_numpy",
    "features set_region",
    "features not empty",
    "* wbp sobel",
    "no density map",
    "density map",
    "map of *",
)
"""Steps that take what copick 1.31.0 does not have yet, or what such a step was to leave behind."""


def unexplained(
    copick: dict[str, Any], ours: dict[str, Any], where: str = "", *, lacking: tuple[str, ...] = ()
) -> list[str]:
    """Steps that gave something else, and for which no reason is known.

    Parameters
    ----------
    copick, ours : dict
        Outcomes by step.
    where : str
        What stands before each problem.
    lacking : tuple of str
        Globs of steps that this copick cannot take. They are left out only where it has failed.
    """
    known = [glob for item in DIFFERENCES for glob in item.steps]
    problems = [f"{where}{step}: only one has it" for step in copick.keys() ^ ours.keys()]
    for step in copick.keys() & ours.keys():
        theirs, mine = copick[step], ours[step]
        failed = isinstance(theirs, dict) and "raised" in theirs
        excused = known + (list(lacking) if failed else [])
        if not same(theirs, mine) and not any(fnmatchcase(step, glob) for glob in excused):
            problems.append(f"{where}{step}:\n  copick {str(theirs)[:400]}\n  ours   {str(mine)[:400]}")
    return sorted(problems)


def same(theirs: Any, mine: Any) -> bool:
    """Whether two outcomes are equal; our errors may be of further classes."""
    if isinstance(theirs, dict) and "raised" in theirs and isinstance(mine, dict) and "raised" in mine:
        return theirs["raised"][0] in mine["raised"]
    return bool(theirs == mine)
