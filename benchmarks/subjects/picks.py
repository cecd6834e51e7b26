"""Points and picks files as the subjects exchange them. Standard library and numpy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

OBJECT_NAME, USER_ID, SESSION_ID = "ribosome", "bench", "1"


def random_poses(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in angstrom (count, 3) and rotations (count, 4, 4)."""
    random = np.random.default_rng(5)
    rotations, _ = np.linalg.qr(random.standard_normal((count, 3, 3)))
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = rotations
    return random.uniform(0, 10_000, (count, 3)), transforms


def decode(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Positions and transforms of a picks file, believing every word of it."""
    points = json.loads(content)["points"]
    positions = np.array([[p["location"][axis] for axis in "xyz"] for p in points], dtype=np.float64)
    transforms = np.array([p["transformation_"] for p in points], dtype=np.float64)
    return positions.reshape(-1, 3), transforms.reshape(-1, 4, 4)


def encode(positions: np.ndarray, transforms: np.ndarray, *, indent: int | None = None) -> bytes:
    """A picks file; with ``indent=4`` byte for byte as copick writes it."""
    points = [
        {
            "location": {"x": x, "y": y, "z": z},
            "transformation_": matrix,
            "instance_id": 0,
            "score": 1.0,
        }
        for (x, y, z), matrix in zip(positions.tolist(), transforms.tolist(), strict=True)
    ]
    envelope: dict[str, Any] = {
        "pickable_object_name": OBJECT_NAME,
        "user_id": USER_ID,
        "session_id": SESSION_ID,
        "run_name": None,
        "voxel_spacing": None,
        "unit": "angstrom",
        "points": points,
        "trust_orientation": True,
    }
    separators = None if indent else (",", ":")
    return json.dumps(envelope, indent=indent, separators=separators).encode()


def summary(positions: np.ndarray) -> dict[str, float]:
    """What subjects that have read the same points agree on."""
    return {"points": len(positions), "sum": round(float(positions.sum()), 3)}
