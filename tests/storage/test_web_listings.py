"""What the pages of a web server list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiocopick.storage import open_storage
from aiocopick.storage.keys import is_key
from aiocopick.storage.settings import Settings
from tests.servers.web import WebServer


@pytest.mark.asyncio
async def test_a_name_that_is_no_text_is_not_listed_under_another(tmp_path: Path) -> None:
    (tmp_path / "café%3F ü").mkdir()
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system keeps text only")
    with WebServer(tmp_path) as server:
        for root in (server.url, str(tmp_path)):
            storage = open_storage(Settings(root=root))
            found = [entry.key for entry in await storage.list("")]
            # What cannot be asked for is listed, so that it can be told of.
            assert [key for key in found if is_key(key)] == ["café%3F ü"]
            assert len(found) == 2
            await storage.aclose()
