"""`import aiocopick` stays light: what is heavy is imported by the function that needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.servers.s3 import MotoServer

HEAVY = [
    "numpy",
    "zarr",
    "trimesh",
    "s3fs",
    "gcsfs",
    "adlfs",
    "aiohttp",
    "pyarrow",
    "pandas",
    "dask",
    "obstore",
    "PIL",
    "typer",
    "rich",
]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, aiocopick; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    code = "import aiocopick; [getattr(aiocopick, name) for name in aiocopick.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_listing_runs_imports_only_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "ExperimentRuns" / "TS_1").mkdir(parents=True)
    needless = [
        *(name for name in HEAVY if name not in ("typer", "rich")),
        "aiocopick.cli.crawl",
        "aiocopick.formats.relion",
        "aiocopick.layers.foreign",
        "aiocopick.sync",
        "aiocopick.tables",
        "aiocopick.upkeep",
    ]
    code = f"""
        import sys
        from aiocopick.cli import main
        sys.argv = ["aiocopick", "ls", {str(tmp_path)!r}]
        try:
            main()
        except SystemExit as ended:
            assert not ended.code
        print([name for name in {needless!r} if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["TS_1", "[]"]


def test_listing_entities_imports_no_numpy(tmp_path: Path) -> None:
    (tmp_path / "ExperimentRuns" / "TS_1").mkdir(parents=True)
    code = f"""
        import sys
        from aiocopick.cli import main
        sys.argv = ["aiocopick", "ls", {str(tmp_path)!r}, "--kinds", "picks,tomograms"]
        try:
            main()
        except SystemExit as ended:
            assert not ended.code
        print([name for name in {HEAVY[:-2]!r} if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]"]


def test_listing_runs_in_s3_imports_no_client(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {f"p/ExperimentRuns/TS_{number}/.meta": b"{}" for number in range(3)})
    needless = [*(name for name in HEAVY if name not in ("typer", "rich")), "aiobotocore", "botocore", "fsspec"]
    code = f"""
        import sys
        from aiocopick.cli import main
        sys.argv = ["aiocopick", "ls", "s3://{bucket}/p", "--endpoint-url", "{moto_server.url}"]
        try:
            main()
        except SystemExit as ended:
            assert not ended.code
        print([name for name in {needless!r} if name in sys.modules])
    """
    with moto_server.counting() as counts:
        done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["TS_0", "TS_1", "TS_2", "[]"]
    assert counts == {"ListObjectsV2": 1}


def test_importing_the_models_makes_no_validator() -> None:
    """A release of pydantic without the lock that this needs makes them all, as ever."""
    code = """
        from pydantic import BaseModel
        from aiocopick import models
        from aiocopick.models.base import DEFERRED

        found = [item for item in vars(models).values() if isinstance(item, type) and issubclass(item, BaseModel)]
        print(len(found) > 10, {item.__pydantic_complete__ for item in found} == {not DEFERRED})
        print(models.CopickConfigFS(root="/data").root, models.CopickConfigFS.__pydantic_complete__)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True True", "/data True"]


def test_a_short_command_seldom_searches_for_garbage(tmp_path: Path) -> None:
    (tmp_path / "ExperimentRuns" / "TS_1").mkdir(parents=True)
    code = f"""
        import atexit, gc, sys
        from aiocopick.cli import main

        def show():
            print(sum(stats["collections"] for stats in gc.get_stats()) < 20, gc.get_freeze_count() > 10_000)

        # What is registered first runs last.
        atexit.register(show)
        sys.argv = ["aiocopick", "ls", {str(tmp_path)!r}]
        main()
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["TS_1", "True True"]


def test_numpy_is_imported_by_the_first_use_in_a_thread(tmp_path: Path) -> None:
    code = f"""
        import asyncio, sys, threading
        import aiocopick

        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name in ("numpy", "zarr"):
                    print(name, threading.current_thread() is threading.main_thread())

        async def main():
            async with aiocopick.open({str(tmp_path)!r}, user_id="me") as root:
                run = await root.new_run("TS_1")
                assert "numpy" not in sys.modules
                sys.meta_path.insert(0, Finder())
                picks = await run.new_picks("ribosome", "1")
                await picks.from_numpy([[1.0, 2.0, 3.0]])
                assert len((await picks.load()).points) == 1

        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["numpy False"]
