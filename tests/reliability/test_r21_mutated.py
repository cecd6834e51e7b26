"""R21: a broken file is read or refused, within 5 s and 512 MiB: JSON, `.meta`, configs, zarr metadata, GLB."""

from __future__ import annotations

import json
import logging
import random
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import trimesh

from aiocopick.errors import CopickError
from aiocopick.formats.filaments import decode_filaments, encode_filaments
from aiocopick.formats.json_bytes import parse_json
from aiocopick.formats.mesh import decode_mesh, encode_mesh
from aiocopick.formats.meta import decode_meta
from aiocopick.formats.picks import decode_picks
from aiocopick.models.config import parse_config
from aiocopick.volumes.ome import parse_group
from aiocopick.volumes.ome_arrays import array_documents, describe_array, parse_array
from aiocopick.volumes.ome_writing import axis_names, group_documents
from tests.formats.mutations import mutate, mutated_bytes, mutated_document
from tests.memory import resident

NAMES = {"pickable_object_name": "o", "user_id": "u", "session_id": "s"}
POINT = {"location": {"x": 1.5, "y": 2, "z": 3}, "transformation_": np.eye(4).tolist(), "instance_id": 3, "score": 0.5}
PICKS = NAMES | {"unit": "angstrom", "trust_orientation": True, "points": [POINT] * 3}
LINE = [[0, 0, 0], [5, 0, 0], [10, 0, 0]]
ANCHORS = [[0, 0, 0], [1, 0, 0], [2, 2, 0], [10, 0, 0]]
SPLINE = {"kind": "bspline", "control_points": ANCHORS, "step": 1.0, "degree": 3, "knots": [0] * 4 + [1] * 4}
ROUNDED = {"kind": "catmull-rom", "control_points": ANCHORS, "step": 1.0, "alpha": 0.5}
FILAMENTS = NAMES | {
    "filaments": [
        {"instance_id": 1, "points": LINE, "radius": 3.0, "metadata": {}, "curve": SPLINE},
        {"instance_id": 2, "points": LINE, "curve": ROUNDED},
    ]
}
META = {"name": "TS_1", "tilt": {"axis": 84.5, "angles": [1, 2]}}
FILAMENT = {"copick": {"filament": {"polar": True}}}
CONFIG = {
    "config_type": "multilayer",
    "pickable_objects": [{"name": "a", "is_particle": True, "label": 1, "color": [1, 2, 3, 4], "metadata": FILAMENT}],
    "tomograms": {"10.0": ["wbp"]},
    "layers": [{"root": "memory://x", "fs_args": {"a": 1}}, {"overlay_root": "/a", "static_root": "/b"}, "/x"],
}
GROUPS = [
    {name: json.loads(content) for name, content in documents.items()}
    for zarr_format in (2, 3)
    for documents in [
        group_documents(zarr_format, ["0", "1"], 10.0, axes=axis_names(zarr_format, 3, channels=False), metadata={})
    ]
]
ARRAYS = [
    (zarr_format, json.loads(content))
    for zarr_format, shards in ((2, None), (3, (8, 8, 8)))
    for content in array_documents(
        describe_array(zarr_format, (8, 8, 8), np.dtype("f4"), chunks=(4, 4, 4), shards=shards, axes=("z", "y", "x"))
    ).values()
]
MESH = encode_mesh(trimesh.Scene([trimesh.creation.box(), trimesh.PointCloud(np.eye(3))]))


def mutated_mesh(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return mutated_bytes(MESH, rng)
    (size,) = struct.unpack_from("<I", MESH, 12)
    text = json.dumps(mutate(json.loads(MESH[20 : 20 + size]), rng)).encode()
    text += b" " * (-len(text) % 4)
    rest = MESH[20 + size :]
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def read_group(rng: random.Random) -> None:
    documents = {name: mutated_document(content, rng) for name, content in rng.choice(GROUPS).items()}
    parse_group(documents, path="p")


def read_array(rng: random.Random) -> None:
    zarr_format, document = rng.choice(ARRAYS)
    parse_array(mutated_document(document, rng), zarr_format, path="p", max_bytes=2**24)


def read_config(rng: random.Random) -> None:
    document = parse_json(mutated_document(CONFIG, rng), path="p")
    if isinstance(document, dict):
        parse_config(document)


READ: dict[str, Callable[[random.Random], Any]] = {
    "picks": lambda rng: decode_picks(mutated_document(PICKS, rng), path="p").filled_scores(),
    "filaments": lambda rng: encode_filaments(decode_filaments(mutated_document(FILAMENTS, rng), path="p")),
    "meta": lambda rng: decode_meta(mutated_document(META, rng), path="p"),
    "mesh": lambda rng: decode_mesh(mutated_mesh(rng), path="p"),
    "group": read_group,
    "array": read_array,
    "config": read_config,
}


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("cases", [2_000, pytest.param(15_000, marks=pytest.mark.reliability_full)])
def test_what_is_broken_is_read_or_refused(
    kind: str, cases: int, caplog: pytest.LogCaptureFixture, measured: Any
) -> None:
    caplog.set_level(logging.ERROR)
    rng = random.Random(cases)
    results: Counter[str] = Counter()
    longest = 0.0
    with resident() as memory:
        for _ in range(cases):
            started = time.thread_time()
            try:
                READ[kind](rng)
            except CopickError as error:
                results["refused"] += 1
                assert kind == "config" or "p" in (error.path or "")  # noqa: PT017 - most are read
            else:
                results["read"] += 1
            longest = max(longest, time.thread_time() - started)
            assert longest < 5
    grown = memory.peak / 2**20
    assert grown <= 512
    assert results["refused"] > cases / 10
    assert results["read"] > cases / 100
    measured(
        f"{cases} of {kind}: {results['read']} read, {results['refused']} refused with our errors, "
        f"longest {longest:.2f} s, {grown:.0f} MiB more"
    )
