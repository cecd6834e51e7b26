"""R8: a corrupt file marks its run with an error that names it, and the crawl of a thousand runs goes on."""

from __future__ import annotations

from typing import Any

import pytest

from aiocopick.errors import FormatError
from tests.reliability.crawls import crawl_a_thousand
from tests.reliability.places import DISK, HTTP, MEMORY, Place, some


@pytest.mark.asyncio
@pytest.mark.parametrize("place", some(MEMORY, DISK, "s3", HTTP), indirect=True)
async def test_the_crawl_goes_on(place: Place, measured: Any) -> None:
    corrupt = "TS_0600"
    found, keys = await crawl_a_thousand(place, corrupt=corrupt)
    errors = {run.name: run.error for run in found if run.error is not None}
    assert {name: type(error) for name, error in errors.items()} == {corrupt: FormatError}
    assert keys[corrupt] in str(errors[corrupt])
    measured(f"{len(found) - 1} runs, {len(errors)} error, async and facade, that names the path")
