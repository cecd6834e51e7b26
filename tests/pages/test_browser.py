"""Both pages in a real browser: what is seen, filtered and reached by keys; no request to elsewhere, no error, no
violation of accessibility.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.models import CopickConfigFS
from aiocopick.pages import serving, write_gallery
from tests.pictures.scenes import write_scene
from tests.servers.programs import PROGRAMS

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio

HOSTILE = """<img src=x onerror="document.title='stolen'">"""
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def tools() -> tuple[Path, str]:
    """The browser, and the script that examines pages."""
    for name in ("browser", "axe"):
        if PROGRAMS[name].find() is None:
            pytest.skip(f"{name} is not installed: run `python scripts/servers.py install {name}`")
    browser, axe = PROGRAMS["browser"].find(), PROGRAMS["axe"].find()
    assert browser is not None
    assert axe is not None
    return browser, axe.read_text(encoding="utf-8")


async def filled(root: AsyncRoot) -> AsyncRoot:
    """A project of three runs: with all, without picks, and without anything to see."""
    await write_scene(root, "TS_1")
    await write_scene(root, "TS_2")
    await (await root.get_run("TS_2")).delete_picks()  # type: ignore[union-attr]
    await root.new_run(HOSTILE)
    return root


@asynccontextmanager
async def opened(browser: Path, address: str, size: dict[str, int]) -> AsyncIterator[Page]:
    """A page in the browser; requests to elsewhere, and errors, fail the test."""
    from playwright.async_api import async_playwright

    wrong: list[str] = []
    base = address.rpartition("/")[0]
    async with async_playwright() as driver:
        # Without a sandbox, it also runs as root; it only opens pages of ours.
        chromium = await driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        try:
            page = await chromium.new_page(viewport=size)  # type: ignore[arg-type]
            page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda request: None if _is_ours(request.url, base) else wrong.append(request.url))
            await page.goto(address)
            yield page
            await page.wait_for_load_state("networkidle")
        finally:
            await chromium.close()
    assert wrong == []


def _is_ours(address: str, base: str) -> bool:
    return address.startswith((base, "data:"))


async def _examine(page: Page, axe: str) -> None:
    await page.evaluate(f"{axe};0")
    result = await page.evaluate("axe.run()")
    found = [(item["id"], [node["html"][:200] for node in item["nodes"]]) for item in result["violations"]]
    assert found == []
    assert len(result["passes"]) > 10
    # Nothing is wider than the window.
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def _shown(page: Page) -> list[str | None]:
    cards = await page.locator(".card:visible").all()
    return [await card.get_attribute("data-run") for card in cards]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gallery", "server"])
async def test_a_page_in_a_browser(config: CopickConfigFS, tools: tuple[Path, str], tmp_path: Path, kind: str) -> None:
    browser, axe = tools
    root = await filled(AsyncRoot(config))
    if kind == "gallery":
        await write_gallery(root, tmp_path / "gallery.html")
        await _look(browser, axe, (tmp_path / "gallery.html").as_uri())
    else:
        async with serving(root) as address:
            await _look(browser, axe, address)


async def _look(browser: Path, axe: str, address: str) -> None:
    async with opened(browser, address, DESKTOP) as page:
        assert await _shown(page) == [HOSTILE, "TS_1", "TS_2"]
        assert await page.title() != "stolen"
        await page.wait_for_function(
            "[...document.querySelectorAll('.card img')].every((image) => image.naturalWidth > 99)"
        )
        assert await page.locator(".card img").count() == 2
        await _examine(page, axe)
        await _filter(page)
        await _open_with_keys(page, axe)
    async with opened(browser, address, PHONE) as page:
        await _examine(page, axe)


async def _filter(page: Page) -> None:
    search = page.get_by_label("Filter by run")
    await search.fill("ts_")
    assert await _shown(page) == ["TS_1", "TS_2"]
    assert await page.locator("#shown").inner_text() == "2 of 3 runs"
    await page.get_by_label("ribosome").check()
    assert await _shown(page) == ["TS_1"]
    await search.fill("nothing")
    assert await _shown(page) == []
    await search.fill("")
    await page.get_by_label("ribosome").uncheck()
    assert len(await _shown(page)) == 3


async def _open_with_keys(page: Page, axe: str) -> None:
    dialog = page.get_by_role("dialog")
    await page.locator(".card button").first.focus()
    await page.keyboard.press("Enter")
    assert await dialog.locator("h2").inner_text() == "TS_1"
    assert await dialog.get_by_role("img").count() == 1
    await _examine(page, axe)
    await page.keyboard.press("ArrowRight")
    assert await dialog.locator("h2").inner_text() == "TS_2"
    await page.keyboard.press("ArrowRight")
    assert await dialog.locator("h2").inner_text() == HOSTILE
    await page.keyboard.press("Escape")
    assert not await dialog.is_visible()
    with anyio.fail_after(60):
        await page.wait_for_load_state("networkidle")
