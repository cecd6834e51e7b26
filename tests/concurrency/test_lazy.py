"""Modules are imported when they are first used, and never on the event loop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiocopick.concurrency import lazy
from aiocopick.concurrency.lazy import FLOAT32, imported


@pytest.mark.asyncio
async def test_a_module_is_imported_once_and_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_late.py").write_text(
        "import threading\non_the_loop = threading.current_thread() is threading.main_thread()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    hops = 0
    in_thread = lazy.in_thread

    async def counted(*arguments: Any) -> Any:
        nonlocal hops
        hops += 1
        return await in_thread(*arguments)

    monkeypatch.setattr(lazy, "in_thread", counted)
    for _ in range(2):
        await imported("imported_late")
    assert not sys.modules.pop("imported_late").on_the_loop
    assert hops == 1


def test_the_default_data_type_is_that_of_numpy() -> None:
    assert [other == FLOAT32 for other in (np.float32, FLOAT32, np.float64)] == [True, True, False]
    assert hash(FLOAT32) == hash(np.float32)
    assert np.dtype(FLOAT32) == np.zeros(1, dtype=FLOAT32).dtype == np.float32
    assert repr(FLOAT32) == repr(np.float32)
