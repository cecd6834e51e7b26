"""Where the facade answers differently from copick 2.0.0a6 on purpose: the steps concerned, and why.

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


def unexplained(copick: dict[str, Any], ours: dict[str, Any], where: str = "") -> list[str]:
    """Steps that gave something else, and for which no reason is known."""
    problems = [f"{where}{step}: only one has it" for step in copick.keys() ^ ours.keys()]
    for step in copick.keys() & ours.keys():
        theirs, mine = copick[step], ours[step]
        if not same(theirs, mine) and not any(fnmatchcase(step, glob) for item in DIFFERENCES for glob in item.steps):
            problems.append(f"{where}{step}:\n  copick {str(theirs)[:400]}\n  ours   {str(mine)[:400]}")
    return sorted(problems)


def same(theirs: Any, mine: Any) -> bool:
    """Whether two outcomes are equal; our errors may be of further classes."""
    if isinstance(theirs, dict) and "raised" in theirs and isinstance(mine, dict) and "raised" in mine:
        return theirs["raised"][0] in mine["raised"]
    return bool(theirs == mine)
