"""R23: content is never run or followed, and numbers that are not finite are kept or refused, never changed."""

from __future__ import annotations

import json
import math
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from anyio import to_thread

from aiocopick.errors import CopickError, FormatError
from aiocopick.formats.mesh import decode_mesh, encode_mesh
from aiocopick.storage import open_storage
from aiocopick.testing import FaultServer
from tests.reliability.places import ALL, DISK, HTTP, MEMORY, Place
from tests.reliability.test_r22_bombs import ARRAY, TOMOGRAM, group

RUN = "ExperimentRuns/TS_1"
PICKS = f"{RUN}/Picks/u_1_o.json"


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def zarr3(**changes: Any) -> dict[str, Any]:
    return {
        "zarr_format": 3, "node_type": "array", "shape": [4, 4, 4], "data_type": "float32", "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4, 4]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "attributes": {},
    } | changes  # fmt: skip


SMALL = ARRAY | {"shape": [4, 4, 4], "chunks": [4, 4, 4], "compressor": None}
ARRAYS = [
    SMALL | {"compressor": {"id": "pickle"}},
    SMALL | {"dtype": "|O", "filters": [{"id": "pickle"}]},
    SMALL | {"dtype": "|O", "filters": [{"id": "json2"}], "compressor": {"id": "pickle", "protocol": 5}},
    SMALL | {"filters": [{"id": "pickle"}]},
    zarr3(codecs=[{"name": "numcodecs.pickle", "configuration": {}}]),
    zarr3(data_type="object", codecs=[{"name": "numcodecs.pickle", "configuration": {}}]),
    zarr3(codecs=[{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "numcodecs.pickle"}]),
]


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_pickles_are_not_run(place: Place, tmp_path: Path, measured: Any) -> None:
    canary = tmp_path / "canary"
    chunks = [
        numcodecs.Pickle().encode(np.array([Canary(canary)], dtype=object)),
        pickle.dumps(Canary(canary)),
    ]
    writing = open_storage(place.writing)
    refused = 0
    for array in ARRAYS:
        for chunk in chunks:
            keys = {f"{TOMOGRAM}/0/0/0/0": chunk, f"{TOMOGRAM}/0/c/0/0/0": chunk}
            if array["zarr_format"] == 2:
                keys[f"{TOMOGRAM}/.zgroup"] = b'{"zarr_format": 2}'
                keys[f"{TOMOGRAM}/.zattrs"] = group()
                keys[f"{TOMOGRAM}/0/.zarray"] = json.dumps(array).encode()
            else:
                ome = {"ome": {"version": "0.5", **json.loads(group())}}
                keys[f"{TOMOGRAM}/zarr.json"] = json.dumps(
                    {"zarr_format": 3, "node_type": "group", "attributes": ome}
                ).encode()
                keys[f"{TOMOGRAM}/0/zarr.json"] = json.dumps(array).encode()
            async with writing.scan("", None) as pages:
                await writing.delete_many([entry.key async for page in pages for entry in page])
            await writing.write_many(keys.items())
            async with place.open() as root:
                [spacing] = await (await root.query())[0].query_voxelspacings()
                [tomogram] = await spacing.tomograms()
                with pytest.raises(FormatError):
                    await tomogram.numpy()
                refused += 1
    await writing.aclose()
    assert not canary.exists()
    measured(f"{refused} volumes with pickles: all refused, 0 canaries")


def glb(header: Any) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A) + text


_opened: list[str] = []
_watching: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "socket.connect", "socket.getaddrinfo"):
        text = f"{event} {arguments}"
        if any(name in text for name in _watching):
            _opened.append(text)


sys.addaudithook(_watch)


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_addresses_in_meshes_are_not_followed(place: Place, tmp_path: Path, measured: Any) -> None:
    # What the library itself opens at first is not meant.
    decode_mesh(encode_mesh(None), path="p")
    (tmp_path / "canary.bin").write_bytes(b"1234")
    writing = open_storage(place.writing)
    server = await to_thread.run_sync(lambda: FaultServer(contents={"/canary": b"1234"}).__enter__())
    refused = 0
    try:
        _watching.extend(["canary", server.url.rpartition(":")[2]])
        for section in ("buffers", "images"):
            for uri in (
                "canary.bin", str(tmp_path / "canary.bin"), f"file://{tmp_path}/canary.bin", f"{server.url}/canary",
                "../canary.bin", "data:text", "",
            ):  # fmt: skip
                data = glb({"asset": {"version": "2.0"}, section: [{"uri": uri, "byteLength": 4}]})
                await writing.write(f"{RUN}/Meshes/u_1_o.glb", data)
                async with place.open() as root:
                    [mesh] = await (await root.query())[0].query_meshes()
                    with pytest.raises(FormatError):
                        await mesh.load()
                    refused += 1
        assert server.requests == []
    finally:
        _watching.clear()
        await to_thread.run_sync(lambda: server.__exit__(None, None, None))
        await writing.aclose()
    assert _opened == []
    measured(f"{refused} meshes with addresses: all refused, 0 files opened, 0 connects")


POINT = '{"location": {"x": 1, "y": 2, "z": 3}, "score": %s, "weight": [%s], "note": {"w": %s}}'
LINES = '"pickable_object_name": "o", "user_id": "u", "session_id": "1"'
NUMBERS = ("NaN", "Infinity", "-Infinity")


def same(one: Any, other: Any) -> bool:
    """Compare documents in which NaN equals NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_numbers_that_are_not_finite_are_not_lost(place: Place, measured: Any) -> None:
    writing = open_storage(place.writing)
    kept = refused = 0
    for number in NUMBERS:
        points = ", ".join([POINT % (number, number, number)] * 2)
        picks = f'{{"pickable_object_name": "o", "extra": {number}, "points": [{points}]}}'
        located = f'{{"points": [{{"location": {{"x": {number}, "y": 2, "z": 3}}}}]}}'
        meta = f'{{"name": "TS_1", "tilt": [{number}]}}'
        for text, changed in ((picks, False), (located, False), (picks, True), (located, True)):
            await writing.write(PICKS, text.encode())
            async with place.open() as root:
                [found] = await (await root.query())[0].query_picks()
                await found.load()
                value = found.points[0].location.x if text == located else found.points[0].score
                assert same(float(value), float(number.lower()))
                if place.kind == HTTP:
                    kept += 1
                    continue
                if changed:
                    found.points.append(found.points[0].model_copy(deep=True))
                try:
                    await found.store()
                    kept += 1
                except (ValueError, CopickError):
                    # No point can be there: the file stays as it is.
                    assert text == located
                    refused += 1
                    changed = False
            stored = json.loads(await writing.read(PICKS))
            before = json.loads(text)
            if changed:
                assert len(stored["points"]) == len(before["points"]) + 1
                stored["points"].pop()
            for point, original in zip(stored["points"], before["points"], strict=True):
                assert all(same(point[name], item) for name, item in original.items() if name != "location")
                assert all(same(float(point["location"][axis]), float(original["location"][axis])) for axis in "xyz")
            assert same(stored.get("extra"), before.get("extra"))
        await writing.write(f"{RUN}/.meta", meta.encode())
        async with place.open() as root:
            run = (await root.query())[0]
            loaded = await run.load_meta()
            assert same(loaded.tilt, json.loads(meta)["tilt"])
            if place.kind != HTTP:
                loaded.note = "changed"
                await run.store_meta()
                assert same(json.loads(await writing.read(f"{RUN}/.meta"))["tilt"], json.loads(meta)["tilt"])
        line = f'{{"instance_id": 1, "points": [[1, 2, 3], [4, 5, 6]], "metadata": {{"w": [{number}]}}}}'
        filaments = f'{{{LINES}, "filaments": [{line}]}}'
        await writing.write(f"{RUN}/Filaments/u_1_o.json", filaments.encode())
        async with place.open() as root:
            [lines] = await (await root.query())[0].query_filaments()
            await lines.load()
            assert same(lines.filaments[0].metadata, {"w": [float(number.lower())]})
            if place.kind != HTTP:
                lines.filaments.append(lines.filaments[0].model_copy(deep=True))
                await lines.store()
                stored = json.loads(await writing.read(f"{RUN}/Filaments/u_1_o.json"))
                assert same([line["metadata"] for line in stored["filaments"]], [{"w": [float(number.lower())]}] * 2)
        kept += 2
    await writing.aclose()
    measured(f"NaN and infinities: {kept} kept as they are, {refused} refused, 0 changed")


@pytest.mark.parametrize("place", [MEMORY, DISK, "s3"], indirect=True)
def test_the_facade_keeps_them_as_well(place: Place, measured: Any) -> None:
    with place.open_sync() as root:
        picks = root.new_run("TS_1").new_picks("ribosome", "1")
        picks.from_numpy([[1.0, 2, 3]])
        picks.points[0].weight = float("nan")
        picks.store()
        picks.points[0].location.x = float("inf")
        with pytest.raises(ValueError, match="point 0"):
            picks.store()
    with place.open_sync() as root:
        [point] = root.runs[0].picks[0].points
        assert math.isnan(point.weight)
        assert point.location.x == 1
    measured("facade: NaN kept, an infinite location refused, the file unchanged")
