"""copick itself, 1.31 or 2.0, in an environment of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import copick

from benchmarks.subjects import blocking, picks as poses

if TYPE_CHECKING:
    from benchmarks.child import Bench

# copick says at level CRITICAL what it also raises; a terminal is not what is measured.
logging.disable(logging.CRITICAL)


def open_project(bench: Bench) -> Any:
    """Open the project as its documentation says: a config with a root and arguments for fsspec."""
    config: dict[str, Any] = {
        "config_type": "filesystem",
        "pickable_objects": [
            {"name": poses.OBJECT_NAME, "is_particle": True, "label": 1},
            {"name": "membrane", "is_particle": False, "label": 2},
        ],
        "overlay_root": _root(bench.url),
        "overlay_fs_args": _fs_args(bench),
    }
    if bench.static_url is not None:
        config |= {"static_root": _root(bench.static_url), "static_fs_args": _fs_args(bench)}
    return copick.from_string(json.dumps(config))


def open_root(bench: Bench) -> Any:
    return blocking.open_root(bench, open_project)


def list_runs(bench: Bench) -> Any:
    return blocking.list_runs(bench, open_project)


def crawl(bench: Bench) -> Any:
    return blocking.crawl(bench, open_project, _spread(bench))


def crawl_picks(bench: Bench) -> Any:
    return blocking.crawl_picks(bench, open_project, _spread(bench))


def one_run(bench: Bench) -> Any:
    return blocking.one_run(bench, open_project)


def load_picks(bench: Bench) -> Any:
    spread = _spread(bench)
    return blocking.load_picks(
        bench, open_project, lambda root, entities: spread(lambda picks: len(picks.numpy()[0]), entities)
    )


def loop_picks(bench: Bench) -> Any:
    return blocking.loop_picks(bench, open_project)


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


def train_boxes(bench: Bench) -> Any:
    # As copick-torch does it: a crop at a time, through the tomogram.
    return blocking.train_boxes(bench, open_project)


def volume_write(bench: Bench) -> Any:
    # Its chunks are its own choice; only the layout that has these is asked of it.
    return blocking.volume_write(bench, open_project)


def create(bench: Bench) -> Any:
    return blocking.create(bench, open_project, _spread(bench))


def delete(bench: Bench) -> Any:
    return blocking.delete(bench, open_project, _spread(bench))


def overlay(bench: Bench) -> Any:
    return blocking.overlay(bench, open_project, _spread(bench))


def _root(url: str) -> str:
    return url if "://" in url else f"local://{url}"


def _fs_args(bench: Bench) -> dict[str, Any]:
    if "://" not in bench.url:
        return {"auto_mkdir": True}
    if bench.options["threads"] == 1:
        return bench.fs_args
    return {**bench.fs_args, "config_kwargs": {"max_pool_connections": 64}}


def _spread(bench: Bench) -> blocking.Spread:
    threads = bench.parameters.get("concurrency", bench.options["threads"])
    if threads == 1:
        return map

    def spread(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(function, items)

    return spread
