"""The pages of a server: the gallery, pictures made when they are looked at, the catalogue, keys, and the viewer."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.crawl import Crawl
from aiocopick.errors import CopickError, NotFoundError
from aiocopick.pages.cards import Card, card_html, end_html, escaped, head_html
from aiocopick.pages.gallery import KINDS, one_line, thumbnail_of, title_of
from aiocopick.pages.keys import answer, refusal
from aiocopick.pages.viewers import HOW, POLICY, viewer_event
from aiocopick.pictures import Choice, chosen_tomogram, draw, draw_message, encode_png, read_scene, read_slice
from aiocopick.pictures.drawing import contrast
from aiocopick.pictures.reading import colour_of
from aiocopick.tables.held import is_listed

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot, AsyncRun
    from aiocopick.storage.base import Storage

LARGE_SIZE = 800
_PICTURES_AT_ONCE = 4
_PICTURES_KEPT = 200


class Site:
    """The pages of a project.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    choice : Choice
        Content of pictures.
    viewer : Path, optional
        Folder of the viewer's page.
    """

    def __init__(self, root: AsyncRoot, choice: Choice, viewer: Path | None) -> None:
        self._root = root
        self._choice = choice
        self._viewer = viewer
        self.closed = anyio.Event()
        self._drawing = anyio.CapacityLimiter(_PICTURES_AT_ONCE)
        self._cataloguing = anyio.CapacityLimiter(1)
        self._pictures: OrderedDict[tuple[str, bool], tuple[bytes, str]] = OrderedDict()
        # Layers of other implementations have no keys.
        self._storages: list[Storage] = [layer.storage for layer in root.layers if layer.storage is not None]

    def app(self) -> Any:
        """Return the pages by path."""
        routes: list[Any] = [
            Route("/", _refusing(self.front)),
            Route("/pictures/{run}", _refusing(self.picture)),
            Route("/catalog.json", _refusing(self.catalog_json)),
            Route("/catalog.parquet", _refusing(self.catalog_parquet)),
            Route("/keys/{key:path}", _refusing(self.keys)),
        ]
        if self._viewer is not None:
            routes += [
                Route("/viewer/events/{run}", _refusing(self.viewer_events)),
                Route("/viewer/state/{run}", _ignored, methods=["POST"]),
                Mount("/viewer/v/{run}", StaticFiles(directory=self._viewer, html=True)),
            ]
        return ExceptionMiddleware(Router(routes, redirect_slashes=False))

    # --- the front page -----------------------------------------------------------------------------------------------

    async def front(self, request: Request) -> Response:
        """Answer with the gallery, which is sent while runs are listed."""
        return StreamingResponse(self._front(str(request.base_url)), media_type="text/html; charset=utf-8")

    async def _front(self, base: str) -> AsyncIterator[str]:
        links = '<a href="catalog.json">catalogue as JSON</a>, <a href="catalog.parquet">as Parquet</a>'
        if self._storages:
            links += ', <a href="keys/">files</a>'
        notes = [escaped(self._root.url), links] + ([escaped(HOW)] if self._viewer is None else [])
        yield await in_thread(head_html, title_of(self._root), notes)
        try:
            async with Crawl(self._root._apart(), None, KINDS) as runs:
                async for run in runs:
                    yield card_html(await self._card(run, base))
        except CopickError as error:
            yield card_html(Card("", errors=[one_line(error)]))
        yield await in_thread(end_html)

    async def _card(self, run: AsyncRun, base: str) -> Card:
        errors = [] if run.error is None else [one_line(run.error)]
        if not is_listed(run):
            return Card(run.name, errors=errors)
        image, facts, links = "", list[str](), list[tuple[str, str]]()
        try:
            tomogram = await chosen_tomogram(run, self._choice)
            image = f"pictures/{quote(run.name, safe='')}"
            facts = [tomogram.uri]
            if self._viewer is not None and self._address(tomogram, base):
                links = [("Open in the viewer", f"viewer/v/{quote(run.name, safe='')}/")]
        except CopickError as error:
            errors.append(one_line(error))
        objects = {}
        for picks in await run.picks() if "picks" not in run._denied else ():
            if self._choice.holds(picks):
                name = picks.pickable_object_name
                objects[name] = (None, colour_of(run, name))
        return Card(run.name, image, f"{image}?large" if image else "", facts, objects, links, errors)

    def _address(self, entity: Any, base: str) -> str:
        """Return the URL of an entity's data; empty if its layer has no keys."""
        storage = entity.layer.storage
        if storage is None:
            return ""
        return f"{base}keys/{quote(self._prefix(self._storages.index(storage)) + entity.key)}"

    def _prefix(self, index: int) -> str:
        return "" if len(self._storages) == 1 else f"{index}/"

    # --- pictures -----------------------------------------------------------------------------------------------------

    async def picture(self, request: Request) -> Response:
        """Answer with the picture of a run: a thumbnail, or with the query ``large`` a larger one."""
        name, large = request.path_params["run"], "large" in request.query_params
        run = await self._run(name)
        async with self._drawing:
            known = self._pictures.pop((name, large), None)
            data, kind = known if known is not None else await self._draw(run, large)
            self._pictures[name, large] = data, kind
            if len(self._pictures) > _PICTURES_KEPT:
                self._pictures.popitem(last=False)
        return Response(data, media_type=kind)

    async def _draw(self, run: AsyncRun, large: bool) -> tuple[bytes, str]:
        scene = await read_scene(run, self._choice, keep_errors=True)
        if scene.slice is None:
            # An image, so that the page shows the reason in its place.
            return await in_thread(lambda: (encode_png(draw_message(scene.errors[0], 320)), "image/png"))
        if not large:
            return await in_thread(thumbnail_of, scene)
        return await in_thread(lambda: (encode_png(draw(scene, LARGE_SIZE, legend=True)), "image/png"))

    # --- the viewer -----------------------------------------------------------------------------------------------------

    async def viewer_events(self, request: Request) -> Response:
        """Answer with the volumes of a run, as the event that the viewer waits for."""
        run = await self._run(request.path_params["run"])
        tomogram = await chosen_tomogram(run, self._choice)
        view = await read_slice(tomogram)
        # Two channels are no labels to the viewer.
        labels = [item for item in await run.segmentations() if self._choice.holds(item) and not item.is_panoptic]
        base = str(request.base_url)
        layers = [(item.uri, self._address(item, base)) for item in (tomogram, *labels) if self._address(item, base)]
        if not self._address(tomogram, base):
            raise NotFoundError(f"{tomogram.path} is in a layer whose files cannot be served.", path=tomogram.path)
        event = viewer_event(layers, await in_thread(contrast, view.values))

        async def events() -> AsyncIterator[str]:
            yield event
            # The viewer warns of a connection that ends.
            await self.closed.wait()

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _run(self, name: str) -> AsyncRun:
        run = await self._root.get_run(name)
        if run is None:
            raise NotFoundError(f"There is no run {name}.", path=name)
        return run

    # --- the catalogue, and keys ----------------------------------------------------------------------------------------

    async def _catalog(self) -> Any:
        from aiocopick.tables import catalog

        async with self._cataloguing:
            return await catalog(self._root._apart())

    async def catalog_json(self, request: Request) -> Response:
        """Answer with a row for each entity."""
        table = await self._catalog()
        data = await in_thread(lambda: json.dumps(table.to_pylist(), default=str))
        return Response(data, media_type="application/json")

    async def catalog_parquet(self, request: Request) -> Response:
        """Answer with the same table as Parquet."""
        from aiocopick.tables.parquet import encode_table

        data = await in_thread(encode_table, await self._catalog())
        return Response(bytes(data), media_type="application/vnd.apache.parquet")

    async def keys(self, request: Request) -> Response:
        """Answer with an object, or with the index page of a folder; several layers are folders ``0``, ``1``, ..."""
        key: str = request.path_params["key"]
        index = 0
        if len(self._storages) != 1:
            number, _, key = key.partition("/")
            if not number.isascii() or not number.isdecimal() or int(number[:3]) >= len(self._storages):
                raise HTTPException(404)
            index = int(number[:3])
        return await answer(self._storages[index], key, request)


def _refusing(page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        try:
            return await page(request)
        except CopickError as error:
            return refusal(error)

    return answered


async def _ignored(request: Request) -> Response:
    return Response(b"{}", media_type="application/json")


def is_viewer(path: str) -> bool:
    """Return True for paths of the viewer's own files."""
    return path.startswith("/viewer")


__all__ = ["POLICY", "Site", "is_viewer"]
