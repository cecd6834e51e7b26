"""A small tree of objects for contract suites: every shape of key that a project on a storage may have."""

from __future__ import annotations

CHUNKS = 12

CONTENTS: dict[str, bytes] = {
    "ExperimentRuns/TS_1/.meta": b"meta",
    "ExperimentRuns/TS_1/Picks/user_0_apo-ferritin.json": b'{"points":[]}',
    "ExperimentRuns/TS_1/Picks/user_0_ribosome.json": bytes(range(256)) * 40,
    "ExperimentRuns/TS_1/VoxelSpacing10.000/.meta": b"meta",
    "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr/.zattrs": b"{}",
    **{
        f"ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr/0/{z}/0/{x}": bytes([z, x]) * (z + 1)
        for z in range(CHUNKS // 4)
        for x in range(4)
    },
    "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp_sobel_features.zarr/.zgroup": b"{}",
    "ExperimentRuns/TS_10/.meta": b"meta",
    # A key that sorts between "TS_1" and "TS_1/" and is neither of them.
    "ExperimentRuns/TS_1.txt": b"not a run",
    # A run may be named like a volume.
    "ExperimentRuns/odd name (1) ä+&=,;@%41.zarr/Picks/u_s_o.json": b"[]",
    "Objects/ribosome.zarr/.zgroup": b"{}",
    "empty": b"",
}
"""Keys and their contents."""

VOLUMES = (
    "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr",
    "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp_sobel_features.zarr",
)
"""Trees below the run ``TS_1`` that a scan collapses."""

HOSTILE_KEYS = (
    "",
    "..",
    "../outside",
    "a/../../outside",
    "a/./b",
    ".",
    "/etc/passwd",
    "a//b",
    "a/",
    "a\\b",
    "a\0b",
    "\udcff",
)
"""Keys that every storage refuses before it sends anything."""
