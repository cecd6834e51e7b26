"""R6: denied, not signed in, and missing are told apart, are not repeated, and are never an empty project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import AccessDeniedError, NotFoundError
from tests.children import run_child
from tests.entities.projects import write_run
from tests.reliability.places import DISK, MEMORY, NETWORK, Place


@pytest.mark.asyncio
@pytest.mark.parametrize("place", NETWORK, indirect=True)
async def test_each_is_an_error_of_its_own(place: Place, measured: Any) -> None:
    assert place.server is not None
    async with aiocopick.AsyncRoot(place.writing) as writing:
        await write_run(writing, volumes=False)
    async with place.open() as root:
        picks = (await (await root.query())[0].query_picks())[0]
        said = []
        for status, kind in (("403", AccessDeniedError), ("401", AccessDeniedError), ("404", NotFoundError)):
            place.server.always(status)
            place.server.requests.clear()
            with pytest.raises(kind) as caught:
                await picks.load()
            assert len(place.server.requests) == 1, status
            said.append(f"{status} {type(caught.value).__name__}")
    for status in ("403", "401"):
        async with place.open() as denied:
            place.server.always(status)
            with pytest.raises(AccessDeniedError):
                await denied.query()
            with pytest.raises(AccessDeniedError):
                await denied.ensure()
            with pytest.raises(AccessDeniedError):
                await denied.layer.storage.exists("object")  # type: ignore[attr-defined]
            with pytest.raises(AccessDeniedError):
                async with denied.layer.storage.scan("") as pages:  # type: ignore[attr-defined]
                    [page async for page in pages]
            with pytest.raises(AccessDeniedError):
                async with denied.crawl() as runs:
                    [run async for run in runs]
        place.server.always(None)
    measured(f"{', '.join(said)}; one request each; denied is never empty")


@pytest.mark.parametrize("place", NETWORK, indirect=True)
def test_the_facade_tells_them_apart_as_well(place: Place, measured: Any) -> None:
    assert place.server is not None
    with aiocopick.CopickRootFS(place.writing) as writing:
        writing._call(write_run, writing.aio, volumes=False)
    with place.open_sync() as root:
        picks = root.query()[0].query_picks()[0]
        for status, kind in (("403", AccessDeniedError), ("401", AccessDeniedError), ("404", NotFoundError)):
            place.server.always(status)
            with pytest.raises(kind):
                picks.load()
        place.server.always("403")
        with pytest.raises(AccessDeniedError):
            root.query()
        with place.open_sync() as denied, pytest.raises(AccessDeniedError):
            denied.runs  # noqa: B018 - a property that lists
        place.server.always(None)
    measured("facade: 403 and 401 AccessDeniedError, 404 NotFoundError; denied is never empty")


# The superuser is never denied anything, so a child goes on as another user.
CHILD = """
    import asyncio, os, sys
    from pathlib import Path
    import aiocopick
    from aiocopick.errors import AccessDeniedError
    from aiocopick.storage import open_storage

    async def main(root):
        config = aiocopick.CopickConfigFS(root=str(root))
        storage = open_storage(config)
        await storage.write("closed/a", b"1")
        await storage.write("project/ExperimentRuns/TS_1/.meta", b"{}")
        project = aiocopick.CopickConfigFS(root=str(root / "project"))
        # Another user may not read the modules that are imported late.
        await asyncio.to_thread(aiocopick.CopickRootFS(project).query)
        closed = [root / "closed", root / "project/ExperimentRuns"]
        for folder in closed:
            folder.chmod(0)
        if os.geteuid() == 0:
            os.seteuid(65534)
        blocking = aiocopick.CopickRootFS(project)

        async def facade():
            return await asyncio.to_thread(blocking.query)

        for operation in (
            lambda: storage.list("closed"),
            lambda: storage.read("closed/a"),
            lambda: storage.exists("closed/a"),
            lambda: storage.write("closed/b", b"2"),
            lambda: storage.delete_many(["closed/a"]),
            lambda: aiocopick.AsyncRoot(project).query(),
            facade,
        ):
            try:
                await operation()
            except AccessDeniedError as error:
                print("closed" in error.path or "ExperimentRuns" in error.path)
        async with storage.read_many(["closed/a"]) as results:
            print(isinstance((await anext(results))[1], AccessDeniedError))
        os.seteuid(os.getuid())
        for folder in closed:
            folder.chmod(0o755)

    asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.name != "posix", reason="the rights of files on this system are not those of users and groups")
@pytest.mark.parametrize("place", [DISK], indirect=True)
def test_denied_on_disk_is_an_error(place: Place, measured: Any) -> None:
    # Another user has to pass the folders above.
    Path(place.root).parent.chmod(0o755)
    assert run_child(CHILD, place.root).split() == ["True"] * 8
    measured("no permission: AccessDeniedError that names the path, async and facade; denied is never empty")


@pytest.mark.asyncio
@pytest.mark.parametrize("place", [MEMORY, DISK], indirect=True)
async def test_missing_is_missing(place: Place, measured: Any) -> None:
    async with aiocopick.AsyncRoot(place.writing) as root:
        run = await write_run(root, volumes=False)
        picks = (await run.query_picks())[0]
        await root.layer.storage.delete_many([picks._located.key])  # type: ignore[attr-defined]
        with pytest.raises(NotFoundError):
            await picks.load()
    measured("missing: NotFoundError")
