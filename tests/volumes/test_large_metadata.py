"""Metadata of any size is understood off the event loop, also where levels have to be looked for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiocopick.volumes import discovery
from tests.volumes.places import Place
from tests.volumes.projects import METADATA_NAMES, noise, project, tomogram_of

VOLUME = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("inside", ["", "image"])
@pytest.mark.asyncio
async def test_large_documents_are_parsed_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zarr_format: int, inside: str
) -> None:
    data = noise(4, 4, 4)
    async with project(Place("local", str(tmp_path)), zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, levels=1)
        volume = tmp_path / VOLUME
        if inside:
            volume.rename(volume.with_name("moved"))
            volume.mkdir()
            volume.with_name("moved").rename(volume / inside)
        for document in [path for path in volume.rglob("*") if path.name in METADATA_NAMES]:
            if not inside and document.parent == volume:
                document.unlink()
            else:
                document.write_bytes(document.read_bytes() + b" " * 100_000)
        parsed: dict[str, set[threading.Thread]] = {}
        for name in ("parse_array", "parse_group", "is_array_document"):
            real = getattr(discovery, name)

            def noting(*args: Any, name: str = name, real: Any = real, **kwargs: Any) -> Any:
                parsed.setdefault(name, set()).add(threading.current_thread())
                return real(*args, **kwargs)

            monkeypatch.setattr(discovery, name, noting)
        tomogram.refresh()
        assert np.array_equal(await tomogram.numpy(), data)
    assert parsed
    assert threading.main_thread() not in set().union(*parsed.values())
