"""Packages that are missing: every feature that needs one names its extra."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas  # noqa: F401 - imported on first use by pyarrow, which blocks
import pytest
import pytest_asyncio
from fsspec.registry import _registry

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import CopickError
from aiocopick.extras import EXTRAS, advice
from tests.entities.projects import write_run

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_the_extras_have_these_packages() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    for package, extra in EXTRAS.items():
        assert any(item.partition(">")[0].partition("[")[0] in (package, "dask") for item in extras[extra]), package


def test_what_has_no_extra_is_named_itself() -> None:
    assert advice(ModuleNotFoundError("No module named 'smbprotocol'", name="smbprotocol.path")) == (
        "smbprotocol, which is not installed: pip install smbprotocol"
    )
    assert "pip install 'aiocopick[ssh]'" in advice(ImportError('Install "sshfs" to access SSH'))


@pytest_asyncio.fixture
async def root(tmp_path: Path) -> AsyncIterator[AsyncRoot]:
    async with aiocopick.open(tmp_path, user_id="me") as root:
        run = await write_run(root)
        tomogram = (await (await run.voxel_spacings())[0].tomograms())[0]
        await tomogram.from_numpy(np.zeros((4, 4, 4), np.float32), levels=1)
        yield root


async def picks(root: AsyncRoot) -> Any:
    return (await root.resolve("ribosome"))[0]


async def volume(root: AsyncRoot) -> Any:
    return (await root.resolve("denoised@10.0"))[0]


async def storage(url: str, **fields: Any) -> Any:
    async with aiocopick.open(url, retries=0, **fields) as root:
        return await root.query()


FEATURES: list[tuple[str, str, Callable[[AsyncRoot], Awaitable[Any]]]] = [
    ("pandas", "table", lambda root: then(picks(root), lambda item: item.df())),
    ("scipy", "table", lambda root: then(picks(root), lambda item: item.df())),
    ("pyarrow", "table", lambda root: aiocopick.catalog(root)),
    ("pyarrow", "table", lambda root: aiocopick.points(root, "ribosome")),
    ("pyarrow", "table", lambda root: aiocopick.load_table(f"{root.url}/../catalog.parquet")),
    ("dask", "dask", lambda root: then(volume(root), lambda item: item.to_dask())),
    ("dask", "dask", lambda root: then(volume(root), lambda item: aiocopick.layer_data(item, lazy=True))),
    ("azure", "azure", lambda root: storage("az://container/p", fs_args={"account_name": "a", "anon": True})),
    ("sshfs", "ssh", lambda root: storage("ssh://127.0.0.1:1/p")),
    ("obstore", "fast", lambda root: storage("s3://bucket/p", engine="obstore", fs_args={"anon": True})),
    ("smbprotocol", "", lambda root: storage("smb://127.0.0.1/p")),
]


async def then(before: Awaitable[Any], function: Callable[[Any], Awaitable[Any]]) -> Any:
    return await function(await before)


@pytest.mark.asyncio
@pytest.mark.parametrize(("package", "extra", "use"), FEATURES)
async def test_a_missing_package_names_its_extra(
    root: AsyncRoot,
    package: str,
    extra: str,
    use: Callable[[AsyncRoot], Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    # fsspec keeps the classes that it found before.
    for protocol in ("ssh", "smb"):
        monkeypatch.delitem(_registry, protocol, raising=False)
    command = f"pip install 'aiocopick[{extra}]'" if extra else f"pip install {package}"
    with pytest.raises(CopickError) as missing:
        await use(root)
    assert f"which is not installed: {command}" in str(missing.value)
