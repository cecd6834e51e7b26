"""The gallery: one page, complete, escaped, from no more requests than it needs."""

from __future__ import annotations

import base64
import gc
import io
import json
import re
import weakref
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from PIL import Image

from aiocopick.entities import AsyncRoot
from aiocopick.errors import AlreadyExistsError, FormatError, InvalidNameError, NotFoundError
from aiocopick.models import CopickConfigFS
from aiocopick.pages import gallery, write_gallery
from tests.entities.projects import Counted
from tests.pictures.scenes import OBJECTS, tomogram_of, write_scene

pytestmark = pytest.mark.asyncio
HOSTILE = """<img src=x onerror="alert(1)"> &amp; '"""


class Page(HTMLParser):
    """The cards of a page: their attributes, text and pictures."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.cards: list[dict[str, Any]] = []
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        found = dict(attributes)
        self.addresses += [value for name, value in found.items() if name in ("src", "href") and value is not None]
        if tag == "li" and "data-run" in found:
            self.cards.append({"run": found["data-run"], "text": "", "image": None, "large": found.get("data-large")})
            self.cards[-1]["objects"] = json.loads(found["data-objects"] or "")
        if tag == "img":
            self.cards[-1]["image"] = found["src"]

    def handle_data(self, data: str) -> None:
        if self.cards:
            self.cards[-1]["text"] += f" {data}"


async def test_every_run_has_a_card_with_its_picture_and_counts(root: AsyncRoot, tmp_path: Path) -> None:
    for name in ("TS_1", "TS_2"):
        await write_scene(root, name)
    told: list[tuple[str, int | None]] = []
    written = await write_gallery(root, tmp_path / "out.html", progress=lambda *what: told.append(what))
    assert (written.runs, written.reused, written.errors) == (2, 0, {})
    assert told == [("TS_1", 2), ("TS_2", 2)]
    page = Page(tmp_path / "out.html")
    assert [card["run"] for card in page.cards] == ["TS_1", "TS_2"]
    for card in page.cards:
        assert card["objects"] == {"membrane": [None, "#0000ff"], "ribosome": [3, "#ff0000"]}
        assert "wbp@10.0, z = 10 nm" in card["text"]
        kind, _, data = card["image"].removeprefix("data:").partition(";base64,")
        assert kind == "image/webp"
        content = base64.b64decode(data)
        assert len(content) <= 15_000
        assert Image.open(io.BytesIO(content)).size == (320, 213)
    # Nothing leads out of the page, and no file is left.
    assert all(address.startswith("data:") for address in page.addresses)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.html"]


async def test_requests_are_the_listing_and_what_each_picture_needs(counted: Counted, tmp_path: Path) -> None:
    for number in range(10):
        await write_scene(counted.root, f"TS_{number}")
    root = counted.fresh()
    counted.storage.calls.clear()
    await write_gallery(root, tmp_path / "out.html")
    by_run = Counter(key.split("/")[1] for verb, key in counted.storage.calls if key.count("/") > 1)
    # The file of picks; for each of two volumes two documents of its group, one of its level, one chunk.
    assert by_run == {f"TS_{number}": 1 + 2 * (2 + 1 + 1) for number in range(10)}
    listing = [call for call in counted.storage.calls if call[1].count("/") <= 1]
    assert len(listing) <= 2, listing
    counted.storage.calls.clear()
    written = await write_gallery(root, tmp_path / "out.html", since=tmp_path / "out.html")
    assert written.reused == 10
    assert len(counted.storage.calls) == len(listing)


async def test_few_runs_are_in_memory_at_a_time(
    root: AsyncRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        await write_scene(root, f"TS_{number:02}")
    held: weakref.WeakSet[Any] = weakref.WeakSet()
    made, most = 0, 0
    card = gallery._card

    async def counted(run: Any, *rest: Any) -> Any:
        nonlocal made
        held.add(run)
        made += 1
        return await card(run, *rest)

    def advance(run: str, total: int | None) -> None:
        nonlocal made, most
        # Each run that is done makes room for another one.
        made -= 1
        most = max(most, made)
        if run == "TS_19":
            gc.collect()
            assert len(held) <= gallery._RUNS_AT_ONCE + 1

    monkeypatch.setattr(gallery, "_card", counted)
    await write_gallery(root, tmp_path / "out.html", progress=advance)
    assert 1 <= most <= gallery._RUNS_AT_ONCE


async def test_runs_and_annotations_are_chosen(root: AsyncRoot, tmp_path: Path) -> None:
    for name in ("TS_1", "TS_2", "other"):
        await write_scene(root, name)
    await write_gallery(root, tmp_path / "out.html", "ribosome", runs="TS_*", tomogram="wbp@10")
    page = Page(tmp_path / "out.html")
    assert [card["run"] for card in page.cards] == ["TS_1", "TS_2"]
    assert [list(card["objects"]) for card in page.cards] == [["ribosome"], ["ribosome"]]
    with pytest.raises(InvalidNameError):
        await write_gallery(root, tmp_path / "out.html", "wbp@10.0:sobel")


async def test_errors_of_runs_are_on_their_cards(root: AsyncRoot, tmp_path: Path) -> None:
    await write_scene(root, "TS_1")
    await root.new_run("TS_2")
    run = await write_scene(root, "TS_3")
    [picks] = await run.picks()
    await root.layer.storage.write(picks.key, b"{nonsense")  # type: ignore[union-attr]
    written = await write_gallery(root, tmp_path / "out.html")
    assert sorted(written.errors) == ["TS_2", "TS_3"]
    cards = {card["run"]: card for card in Page(tmp_path / "out.html").cards}
    assert "no tomogram to show" in cards["TS_2"]["text"]
    assert cards["TS_2"]["image"] is None
    assert "someone_1_ribosome.json" in cards["TS_3"]["text"]
    assert cards["TS_3"]["image"] is not None
    # What failed is tried again.
    again = await write_gallery(root, tmp_path / "out.html", since=tmp_path / "out.html")
    assert (again.runs, again.reused) == (3, 1)


async def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    root = AsyncRoot(CopickConfigFS(root=f"memory://{tmp_path.name}/{HOSTILE}", name=f"A{HOSTILE}", user_id="someone"))
    await root.ensure(create=True)
    await write_scene(root, HOSTILE)
    run = await root.new_run(f"{HOSTILE} 2")
    await tomogram_of(run, np.zeros((4, 4, 4), np.float32))
    root.config.pickable_objects = []
    await (await run.new_picks("&lt;b&gt;'", "1", "x")).from_numpy([[1, 1, 20]])
    written = await write_gallery(root, tmp_path / "out.html")
    page = Page(tmp_path / "out.html")
    assert [card["run"] for card in page.cards] == [HOSTILE, f"{HOSTILE} 2"]
    assert list(page.cards[1]["objects"]) == ["&lt;b&gt;'"]
    assert written.errors == {}
    assert page.tags["img"] == 2
    assert page.tags["script"] == 1
    assert "<img src=x" not in page.text
    assert not re.search(r"<[^>]*\sonerror=\"", page.text)
    again = await write_gallery(root, tmp_path / "out.html", since=tmp_path / "out.html")
    assert again.reused == 2
    assert Page(tmp_path / "out.html").cards == page.cards


async def test_a_changed_run_is_drawn_again(root: AsyncRoot, tmp_path: Path) -> None:
    for name in ("TS_1", "TS_2"):
        await write_scene(root, name)
    await write_gallery(root, tmp_path / "old.html")
    [picks] = await (await root.get_run("TS_1")).picks()  # type: ignore[union-attr]
    await picks.from_numpy([[1.0, 2.0, 3.0]])
    written = await write_gallery(root, tmp_path / "new.html", since=tmp_path / "old.html")
    assert (written.runs, written.reused) == (2, 1)
    assert [card["objects"]["ribosome"][0] for card in Page(tmp_path / "new.html").cards] == [1, 3]
    # Other colours make other pictures.
    root.config.pickable_objects = OBJECTS[:1]
    assert (await write_gallery(root, tmp_path / "new.html", since=tmp_path / "new.html")).reused == 0


async def test_an_interrupted_page_is_gone_on_with(
    counted: Counted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        await write_scene(counted.root, f"TS_{number}")

    def stop(name: str, total: int | None) -> None:
        if name == "TS_1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await write_gallery(counted.root, tmp_path / "out.html", progress=stop)
    [part] = tmp_path.glob("*.part")
    assert not (tmp_path / "out.html").exists()
    assert str(part) in caplog.text
    written = await write_gallery(counted.root, tmp_path / "out.html", since=part)
    assert (written.runs, written.reused) == (4, 2)
    assert len(Page(tmp_path / "out.html").cards) == 4


async def test_a_cancelled_page_leaves_nothing_if_nothing_was_done(counted: Counted, tmp_path: Path) -> None:
    await write_scene(counted.root, "TS_1")
    with anyio.move_on_after(0):
        await write_gallery(counted.root, tmp_path / "out.html")
    assert list(tmp_path.iterdir()) == []


async def test_a_page_can_only_replace_a_page(counted: Counted, tmp_path: Path) -> None:
    precious = tmp_path / "precious.html"
    precious.write_text("<html>mine</html>")
    with pytest.raises(AlreadyExistsError, match="is not a gallery"):
        await write_gallery(counted.root, precious)
    with pytest.raises(AlreadyExistsError, match="is a folder"):
        await write_gallery(counted.root, tmp_path)
    with pytest.raises(NotFoundError, match="no folder"):
        await write_gallery(counted.root, tmp_path / "missing" / "out.html")
    with pytest.raises(NotFoundError, match="no earlier page"):
        await write_gallery(counted.root, tmp_path / "out.html", since=tmp_path / "old.html")
    with pytest.raises(FormatError, match="not a gallery"):
        await write_gallery(counted.root, tmp_path / "out.html", since=precious)
    assert precious.read_text() == "<html>mine</html>"


async def test_a_project_without_runs_is_an_empty_page(counted: Counted, tmp_path: Path) -> None:
    assert (await write_gallery(counted.root, tmp_path / "out.html")).runs == 0
    assert Page(tmp_path / "out.html").cards == []
