"""Our RELION tables beside those of copick 1.31.0, made from the same arrays."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import numpy as np
import pytest

from aiocopick.formats.relion import frame_to_picks, picks_to_frame

pytestmark = pytest.mark.interop

WRITE = """
import json, sys
import numpy as np
from copick.util.formats import build_relion_particles_df
given = json.load(sys.stdin)
arrays = {name: np.array(given.pop(name)) for name in ("positions", "transforms", "instance_ids")}
frame = build_relion_particles_df(**arrays, **given)
print(json.dumps(frame.to_dict(orient="list")))
"""

READ = """
import json, sys
import numpy as np, pandas as pd
from copick.util.formats import relion_coordinates_to_angstrom
from copick.util.relion import relion_rows_to_poses
given = json.load(sys.stdin)
frame = pd.DataFrame(given.pop("frame"))
rotations, offsets = relion_rows_to_poses(frame)
located = relion_coordinates_to_angstrom(frame.drop(columns=["rlnTomoName"]), **given)
print(json.dumps({"positions": (located - offsets).tolist(), "rotations": rotations.tolist()}))
"""


def asked(python: str, code: str, given: dict[str, Any]) -> Any:
    done = subprocess.run([python, "-c", code], input=json.dumps(given), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])  # copick logs its warnings to standard output


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    rotations, _ = np.linalg.qr(random.normal(size=(20, 3, 3)))
    rotations *= np.sign(np.linalg.det(rotations))[:, None, None]
    rotations[0] = np.eye(3)
    transforms = np.tile(np.eye(4), (20, 1, 1))
    transforms[:, :3, :3] = rotations
    transforms[:, :3, 3] = random.normal(size=(20, 3))
    return {
        "positions": random.uniform(0, 4000, (20, 3)),
        "transforms": transforms,
        "instance_ids": random.integers(1, 4, 20),
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"tomogram_center": [1000.0, 2000.0, 300.0]}, {"tomogram_center": [1000.0, 2000.0, 300.0]}),
        ({"tilt_series_pixel_size": 1.35}, {"tilt_series_pixel_size": 1.35}),
        ({"voxel_size": 10.0}, {"legacy_voxel_spacing": 10.0}),
        (
            {"tomogram_center": [1.0, 2.0, 3.0], "tilt_series_pixel_size": 2.0, "filament": True},
            {"tomogram_center": [1.0, 2.0, 3.0], "tilt_series_pixel_size": 2.0, "filament": True},
        ),
    ],
)
def test_tables_equal_those_of_copick(
    copick1_python: str, arrays: dict[str, np.ndarray], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    given = {name: array.tolist() for name, array in arrays.items()} | {"tomo_name": "TS_1"} | theirs
    expected = asked(copick1_python, WRITE, given)
    frame = picks_to_frame(
        arrays["positions"], arrays["transforms"], run_name="TS_1", instance_ids=arrays["instance_ids"], **ours
    )
    assert set(frame.columns) == set(expected)
    for name, column in expected.items():
        if name == "rlnTomoName":
            assert frame[name].tolist() == column
        else:
            np.testing.assert_allclose(frame[name], column, atol=1e-8, err_msg=name)


@pytest.mark.parametrize(
    "given", [{"tomogram_center": [1000.0, 2000.0, 300.0]}, {"voxel_size": 10.0}, {"tilt_series_pixel_size": 1.35}]
)
def test_tables_are_read_as_copick_reads_them(
    copick1_python: str, arrays: dict[str, np.ndarray], given: dict[str, Any]
) -> None:
    import pandas as pd

    random = np.random.default_rng(3)
    frame = picks_to_frame(arrays["positions"], arrays["transforms"], run_name="TS_1", **given)
    for name in ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst"):
        frame[name] = random.normal(size=len(frame))
    for name in ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"):
        frame[name] = random.uniform(0, 180, len(frame))
    theirs = {"voxel_spacing" if name == "voxel_size" else name: value for name, value in given.items()}
    expected = asked(copick1_python, READ, {"frame": frame.to_dict(orient="list")} | theirs)
    particles = frame_to_picks(pd.DataFrame(frame), **given)
    np.testing.assert_allclose(particles.positions, expected["positions"], atol=1e-8)
    np.testing.assert_allclose(particles.transforms[:, :3, :3], expected["rotations"], atol=1e-8)
