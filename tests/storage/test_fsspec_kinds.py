"""What file systems of fsspec do that only some of its users know: directories without files, and no ranges."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.registry import _registry

from aiocopick.storage import open_storage
from aiocopick.storage.settings import Settings


@pytest.mark.asyncio
async def test_a_directory_in_memory_that_holds_nothing_is_listed() -> None:
    root = f"memory://{uuid.uuid4().hex}"
    fsspec.filesystem("memory").makedirs(f"{root}/runs/empty/inner")
    storage = open_storage(Settings(root=root))
    await storage.write("runs/full/file", b"1")
    for folder, names in {
        "": ["runs"],
        "runs": ["runs/empty", "runs/full"],
        "runs/empty": ["runs/empty/inner"],
    }.items():
        assert [(entry.key, entry.is_prefix) for entry in await storage.list(folder)] == [
            (name, True) for name in names
        ]
    await storage.aclose()


class Whole(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Gives files whole, and takes a range without a word."""

    protocol = "whole"

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Return a file of ten bytes, whatever it is called."""
        return {"name": path, "size": 10, "type": "file"}

    def cat_file(self, path: str, **options: Any) -> bytes:
        """Return all of it."""
        return b"0123456789"


@pytest.fixture
def whole() -> Iterator[str]:
    """Register a protocol without ranges."""
    fsspec.register_implementation("whole", Whole, clobber=True)
    yield "whole://root"
    _registry.pop("whole", None)


@pytest.mark.asyncio
@pytest.mark.parametrize("span", [None, (0, 4), (2, 5), (2, None), (-3, None), (8, 20)])
async def test_a_range_is_cut_where_the_file_system_knows_none(whole: str, span: tuple[int, int | None] | None) -> None:
    storage = open_storage(Settings(root=whole))
    assert await storage.read("file", span) == (b"0123456789" if span is None else b"0123456789"[slice(*span)])
    await storage.aclose()


class Remembering(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Lists from its cache what it listed before, as many file systems do."""

    protocol = "remembering"
    names: ClassVar[list[str]] = []

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """List the files that there are, or were."""
        path = self._strip_protocol(path)
        found = self._ls_from_cache(path)
        if found is None:
            found = [{"name": f"{path}/{name}", "size": 1, "type": "file"} for name in self.names]
            self.dircache[path] = found
        return list(found)


@pytest.mark.asyncio
async def test_what_others_wrote_is_listed_whatever_a_file_system_remembers() -> None:
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    try:
        storage = open_storage(Settings(root=f"remembering://{uuid.uuid4().hex}"))
        for names in ([], ["one"], ["one", "two"]):
            Remembering.names[:] = names
            assert [entry.key for entry in await storage.list("runs")] == [f"runs/{name}" for name in names]
        await storage.aclose()
    finally:
        _registry.pop("remembering", None)
