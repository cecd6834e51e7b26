"""aiocopick's blocking facade, called as copick is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import aiocopick
from benchmarks import layouts
from benchmarks.subjects import async_api, blocking, picks as poses
from benchmarks.subjects.keys import KINDS

if TYPE_CHECKING:
    from benchmarks.child import Bench


def open_project(bench: Bench) -> Any:
    """Open the project."""
    return aiocopick.open_sync(bench.url, **async_api.options(bench))


def open_root(bench: Bench) -> Any:
    return blocking.open_root(bench, open_project)


def list_runs(bench: Bench) -> Any:
    return blocking.list_runs(bench, open_project)


def crawl(bench: Bench) -> Any:
    return blocking.crawl(bench, open_project, map)


def crawl_picks(bench: Bench) -> Any:
    def open_and_prefetch(bench: Bench) -> Any:
        root = open_project(bench)
        root.prefetch(kinds=set(KINDS), load={"picks"})
        return root

    return blocking.crawl_picks(bench, open_and_prefetch, map)


def one_run(bench: Bench) -> Any:
    return blocking.one_run(bench, open_project)


def load_picks(bench: Bench) -> Any:
    def load(root: Any, entities: list[Any]) -> Iterable[int]:
        root.prefetch(kinds={"picks"}, load={"picks"})
        return (len(picks.numpy()[0]) for picks in entities)

    return blocking.load_picks(bench, open_project, load)


def loop_picks(bench: Bench) -> Any:
    def open_and_prefetch(bench: Bench) -> Any:
        root = open_project(bench)
        if bench.options.get("prefetch"):
            root.prefetch(kinds={"picks"}, load={"picks"})
        return root

    return blocking.loop_picks(bench, open_and_prefetch)


def picks_load(bench: Bench) -> Any:
    return blocking.picks_load(bench, open_project)


def picks_store(bench: Bench) -> Any:
    return blocking.picks_store(bench, open_project)


def mesh_load(bench: Bench) -> Any:
    return blocking.mesh_load(bench, open_project)


def mesh_store(bench: Bench) -> Any:
    return blocking.mesh_store(bench, open_project)


def volume_read(bench: Bench) -> Any:
    return blocking.volume_read(bench, open_project)


def train_boxes(bench: Bench) -> dict[str, Any]:
    _, edge = layouts.boxes_of(layouts.layout_of(bench.parameters), bench.parameters)
    count, total = 0, 0.0
    with bench.meter:
        root = open_project(bench)
        for batch in aiocopick.boxes_sync(root, poses.OBJECT_NAME, edge, layouts.VOXEL_SIZE, "wbp"):
            count, total = count + len(batch), total + layouts.total(batch.boxes)
    return {"boxes": count, "sum": total}


def volume_write(bench: Bench) -> Any:
    layout = layouts.layout_of(bench.parameters)
    zarr_format = layout.zarr_format
    return blocking.volume_write(
        bench,
        lambda bench: aiocopick.open_sync(bench.url, zarr_format=zarr_format, **async_api.options(bench)),
        chunks=layout.chunks,
        shards=layout.shards,
    )


def create(bench: Bench) -> Any:
    return blocking.create(bench, open_project, map)


def delete(bench: Bench) -> Any:
    return blocking.delete(bench, open_project, map)


def overlay(bench: Bench) -> Any:
    return blocking.overlay(bench, lambda bench: aiocopick.open_sync(async_api.overlay_config(bench)), map)


def blocking_call(bench: Bench) -> None:
    from aiocopick.sync.bridge import call

    async def nothing() -> None:
        pass

    call(nothing)
    with bench.meter:
        for _ in range(bench.parameters["calls"]):
            call(nothing)
    bench.notes["seconds_each"] = bench.meter.wall / bench.parameters["calls"]
