"""R19: no name leads out of its folder: it is refused with a reason, cleaned with a warning, or kept and found again."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import InvalidNameError
from aiocopick.storage import open_storage
from tests.reliability.places import WRITABLE, Place

NAMES = [
    "..", ".", "../x", "a/../../x", "/etc/x", "a/b", "a\\b", "..\\x", "C:evil", "C:\\x", "\\\\host\\x", "a\0b", "a\nb",
    "", " ", ".hidden", "%2e%2e", "..%2fx", "a%2fb", "con", "NUL.json", "a:b", "x" * 300, "é" * 130, "\ud800", "a\u202eb",
    "-rf", "~", "~root", "$HOME", "a;b", "a'b", 'a"b', "<b>", "*", "?", "[a]", "{a}", "a#b", "a?b=c", "a&b", "a+b",
    "a b", "ribosome.json", "x.zarr", "\N{PILE OF POO}", "a_b", "__", "trailing.", "trailing ",
]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("place", WRITABLE, indirect=True)
async def test_names_as_input_and_out_of_listings(place: Place, measured: Any) -> None:
    refused = kept = cleaned = 0
    async with aiocopick.AsyncRoot(place.writing) as root:
        for name in NAMES:
            try:
                run = await root.new_run(name)
            except InvalidNameError:
                refused += 1
                continue
            assert run.name == name
            kept += 1
            assert name in [found.name for found in await root.query()]
            await root.delete_run(name)
        run = await root.new_run("TS_1")
        for name in NAMES:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    picks = await run.new_picks(name, "1", exist_ok=True)
                    spacing = await run.new_voxel_spacing(10.0, exist_ok=True)
                    await spacing.new_tomogram(name, exist_ok=True)
                except InvalidNameError:
                    refused += 1
                    continue
            if picks.pickable_object_name == name:
                kept += 1
            else:
                cleaned += 1
                assert [warning for warning in said if issubclass(warning.category, UserWarning)]
            assert picks.pickable_object_name in [found.pickable_object_name for found in await run.query_picks()]
    above = open_storage(place.writing.model_copy(update={"root": place.writing.root.rpartition("/")[0] or "/"}))
    if place.kind != "memory":
        outside = [entry.key for entry in await above.list("") if not entry.key.startswith("project")]
        assert outside == []
    await above.aclose()
    measured(f"{len(NAMES)} names: {refused} refused, {cleaned} cleaned, {kept} kept, 0 outside of the project")
