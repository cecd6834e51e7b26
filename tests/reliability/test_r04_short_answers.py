"""R4: a body that is too short, or a range that was ignored, is never taken for the content."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aiocopick.errors import StorageError
from aiocopick.storage import open_storage
from tests.reliability.places import NETWORK, Place

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_pauses")]

CONTENT = random.Random(4).randbytes(20_000)
SPANS = [None, (0, 10), (17, 4000), (5000, None), (-100, None)]


@pytest.mark.parametrize("place", NETWORK, indirect=True)
async def test_it_is_an_error_or_the_right_bytes(place: Place, measured: Any) -> None:
    assert place.server is not None
    writing = open_storage(place.writing)
    await writing.write("object", CONTENT)
    await writing.aclose()
    storage = open_storage(place.config(retries=1))
    errors = right = 0
    reasons: set[tuple[str, bool]] = set()
    for action in ("short", "truncate", "no-length", "whole"):
        place.server.always(action)
        for span in SPANS:
            expected = CONTENT if span is None else CONTENT[slice(*span)]
            try:
                assert await storage.read("object", span) == expected, (action, span)
                right += 1
            except StorageError as error:
                errors += 1
                if span is None and action != "whole":
                    reasons.add((action, "cut short" in str(error)))
    await storage.aclose()
    assert {("short", True), ("truncate", True)} <= reasons
    measured(f"0 silent short reads of {errors + right}: {errors} errors, {right} right")
