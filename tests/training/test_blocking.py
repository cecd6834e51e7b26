"""Batches in blocking code."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

import aiocopick
from aiocopick import Batch
from tests.training.projects import CHUNKS, SIZE, address, batches, config, names, places, voxels


def test_blocking_code_gets_the_same_batches() -> None:
    with aiocopick.open_sync(config(address())) as root:
        for number in range(2):
            run = root.new_run(f"TS_{number}")
            run.new_voxel_spacing(SIZE).new_tomogram("wbp").from_numpy(voxels(number), chunks=CHUNKS)
            run.new_picks("ribosome", "1").from_numpy(places(number))
        how: dict[str, Any] = {"size": 8, "voxel_size": 10, "tomogram": "wbp", "batch": 4, "shuffle": 5}
        boxes = aiocopick.boxes_sync(root, "ribosome", **how)
        found = list(boxes)
        assert names(found) == names(list(boxes))
        assert names(found) == names(anyio.run(batches, aiocopick.boxes(root, "ribosome", **how)))
        assert sorted(names(boxes.epoch(1))) == sorted(names(found))
        assert names(boxes.epoch(1)) != names(found)
        for _ in boxes:
            break
        parts: list[list[Batch]] = [[], []]

        def work(index: int) -> None:
            parts[index].extend(aiocopick.boxes_sync(root, "ribosome", shard=(index, 2), **how))

        threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(names(parts[0]) + names(parts[1])) == sorted(names(found))
        left = iter(boxes)
        next(left)
    with pytest.raises(aiocopick.ClosedError):
        next(left)
