"""Documents of any size are parsed off the event loop."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from aiocopick import opening
from aiocopick.formats import meta
from aiocopick.opening import open as open_project
from aiocopick.storage import open_storage
from aiocopick.storage.backends import azure, gcs, http, s3_session
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer
from aiocopick.volumes import ome_documents
from tests.storage.test_answers import fields

LARGE = {"note": "x" * 100_000}


def threads_of(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """Record the threads in which a function is called."""
    found: list[int] = []
    function = getattr(module, name)

    def recorded(*args: Any, **kwargs: Any) -> Any:
        found.append(threading.get_ident())
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, recorded)
    return found


@pytest.mark.asyncio
async def test_a_config_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"root": str(tmp_path), **LARGE}))
    threads = threads_of(monkeypatch, opening, "parse_json")
    await open_project(file)
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.asyncio
async def test_metadata_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "ExperimentRuns" / "TS_1"
    volume = run / "VoxelSpacing10.000" / "wbp.zarr"
    volume.mkdir(parents=True)
    (run / ".meta").write_text(json.dumps(LARGE))
    scale = [{"type": "scale", "scale": [10, 10, 10]}]
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    scales = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    (volume / ".zgroup").write_text('{"zarr_format": 2}')
    (volume / ".zattrs").write_text(json.dumps({"multiscales": scales, **LARGE}))
    (volume / "0").mkdir()
    array = {"zarr_format": 2, "shape": [2, 2, 2], "chunks": [2, 2, 2], "dtype": "<f4", "order": "C", "filters": None}
    (volume / "0" / ".zarray").write_text(json.dumps({**array, "compressor": None, "fill_value": 0, **LARGE}))
    of_meta = threads_of(monkeypatch, meta, "parse_json")
    of_volumes = threads_of(monkeypatch, ome_documents, "parse_json")
    async with open_project(tmp_path) as root:
        found = await root.get_run("TS_1")
        assert found is not None
        await found.load_meta()
        [spacing] = await found.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        assert (await tomogram.numpy()).shape == (2, 2, 2)
    assert of_volumes
    assert threading.get_ident() not in {*of_meta, *of_volumes}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [
        ("http", http, "read_index"), ("az", azure, "read_listing"), ("gs", gcs.json, "loads"),
        ("s3", s3_session.AioRestXMLParser, "_do_parse"),
    ],
)  # fmt: skip
async def test_listings_are(kind: str, module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = " " * 1_000_000
    bodies = {
        "http": ("text/html", f"<h1>Index of</h1>{spaces}<a href=a>a</a>"),
        "az": (
            "application/xml",
            f"<EnumerationResults>{spaces}<Blobs><Blob><Name>p/dir/a</Name></Blob></Blobs></EnumerationResults>",
        ),
        "gs": ("application/json", '{"kind": "storage#objects", "items": [{"name": "p/dir/a"}]' + spaces + "}"),
        "s3": ("application/xml", f"<ListBucketResult>{spaces}<Contents><Key>p/dir/a</Key></Contents></ListBucketResult>"),
    }  # fmt: skip
    async with FaultServer() as server:
        kind_of, text = bodies[kind]
        server.always(Answer(200, {"content-type": kind_of}, text.encode()))
        storage = open_storage(Settings(**fields(kind, server.url), retries=0))
        threads = threads_of(monkeypatch, module, name)
        assert [entry.key for entry in await storage.list("dir")] == ["dir/a"]
        await storage.aclose()
    assert threads
    assert threading.get_ident() not in threads
