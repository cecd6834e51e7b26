"""R7: a file that vanishes between listing and reading marks its run, and the crawl of a thousand runs goes on."""

from __future__ import annotations

from typing import Any

import pytest

from aiocopick.errors import NotFoundError
from tests.reliability.crawls import crawl_a_thousand
from tests.reliability.places import DISK, MEMORY, Place, some


@pytest.mark.asyncio
@pytest.mark.parametrize("place", some(MEMORY, DISK, "s3"), indirect=True)
async def test_the_crawl_goes_on(place: Place, measured: Any) -> None:
    vanishing = "TS_0417"
    found, keys = await crawl_a_thousand(place, vanishing=vanishing)
    errors = {run.name: run.error for run in found if run.error is not None}
    assert {name: type(error) for name, error in errors.items()} == {vanishing: NotFoundError}
    assert keys[vanishing] in str(errors[vanishing])
    measured(f"{len(found) - 1} runs, {len(errors)} marked, 0 aborts")
