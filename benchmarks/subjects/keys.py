"""What a listing by hand has to know of the layout: enough to count entities by kind, no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

KINDS = ("voxel_spacings", "tomograms", "features", "picks", "meshes", "segmentations")
"""The kinds that every subject lists, in the order in which they are reported."""


CATALOG = "catalog.parquet"
"""Where a project has its catalogue, when it has one."""


def count(runs: int, keys: Iterable[str]) -> dict[str, int]:
    """Number of runs and entities among keys below ``ExperimentRuns/``, folders ending in ``/`` included."""
    found: Counter[str] = Counter()
    spacings = set()
    for key in keys:
        run, _, rest = key.partition("/")
        folder, _, name = rest.partition("/")
        if folder == "Picks" and name.endswith(".json"):
            found["picks"] += 1
        elif folder == "Meshes" and name.endswith(".glb"):
            found["meshes"] += 1
        elif folder == "Segmentations" and name.rstrip("/").endswith(".zarr"):
            found["segmentations"] += 1
        elif folder.startswith("VoxelSpacing"):
            spacings.add((run, folder))
            if name.rstrip("/").endswith("_features.zarr"):
                found["features"] += 1
            elif name.rstrip("/").endswith(".zarr"):
                found["tomograms"] += 1
    found["voxel_spacings"] = len(spacings)
    return {"runs": runs, **{kind: found[kind] for kind in KINDS}}


def is_picks(key: str) -> bool:
    """Whether a key below ``ExperimentRuns/`` is a picks file."""
    return key.endswith(".json") and key.split("/")[1:2] == ["Picks"]


def nothing() -> dict[str, int]:
    """Counters by kind, to be filled."""
    return dict.fromkeys(("runs", *KINDS), 0)
