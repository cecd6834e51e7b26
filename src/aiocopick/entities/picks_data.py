"""The data of picks: columns until somebody asks for objects, and the file around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import ValidationError

from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.files import AsyncFile, edited
from aiocopick.entities.picks_file import LoadedPicksFile
from aiocopick.errors import FormatError, NotFoundError, NotLoadedError
from aiocopick.formats.picks_table import PicksTable
from aiocopick.layers.codecs import encode
from aiocopick.layout.refs import PicksRef
from aiocopick.models.points import CopickPicksFile, CopickPoint

_SETTABLE = frozenset({"voxel_spacing", "unit", "trust_orientation"})
"""What of the envelope is stored as it is set on the model of the file."""

_MANY = 2000
"""So many objects take about as long to turn into columns as a thread hop may cost."""


class PicksData(AsyncFile):
    """Picks as they are held in memory, loaded and stored."""

    __slots__ = ("_base", "_header", "_points", "_table")

    noun: ClassVar[str] = "picks"
    ref: PicksRef
    _base: PicksTable | None
    """What the file held when it was loaded or stored."""
    _header: dict[str, Any] | None
    _points: list[CopickPoint] | None
    _table: PicksTable | None

    # --- the data -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        # Columns, until the points were made of them; from then on the points are the data.
        self._table = None
        self._points = None
        self._header = None
        self._base = None
        if isinstance(self._meta, LoadedPicksFile):
            self._meta = None

    def _accept(self, payload: PicksTable) -> None:
        self._meta = self._model(payload.header)
        self._table = self._base = payload
        self._header = payload.header
        self._points = None

    def _assign(self, meta: CopickPicksFile) -> None:
        super()._assign(meta)
        if "points" in meta.model_fields_set:
            self.points = meta.points

    def _model(self, header: dict[str, Any]) -> CopickPicksFile:
        """CoPick's model of the file, over the points as they are when somebody looks at them."""
        try:
            return LoadedPicksFile.over(header | self._identity, lambda: self.points)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, problem["loc"]))
            raise FormatError(f"{self.path} is no picks file: {field}: {problem['msg']}.", path=self.path) from None

    def _told(self) -> dict[str, Any]:
        """What of the envelope was set on :attr:`meta`, or read into it."""
        meta = self._meta
        return {} if meta is None else {name: getattr(meta, name) for name in _SETTABLE & meta.model_fields_set}

    def _blank(self) -> None:
        self._accept(PicksTable.empty(self._new_header()))

    def _new_header(self) -> dict[str, Any]:
        told = {"voxel_spacing": None, "unit": "angstrom", "trust_orientation": True}
        return self._identity | {"run_name": self.run.name} | told

    @property
    def _lacks_base(self) -> bool:
        return self._header is None and (self._points is not None or self._table is not None)

    def _accept_base(self, payload: PicksTable | None) -> None:
        header = self._new_header() if payload is None else payload.header
        self._model(header)
        self._header = header

    async def _payload(self) -> PicksTable | None:
        header = (self._header or self._new_header()) | self._told() | self._identity
        table = self._table if self._points is None else await _as_columns(self._points, header)
        if table is not None:
            table.header, table.exact = header, True
        return table

    def _written(self, payload: PicksTable) -> None:
        self._base = payload

    async def _is_edited(self) -> bool:
        told = self._told()
        base = self._base
        if base is None or any(base.header.get(name) != value for name, value in told.items()):
            return self.loaded or bool(told)
        if self._points is None:
            return self._table is not base
        now = await _as_columns(self._points, base.header)
        return await encode("picks", now) != await encode("picks", base)

    def _content(self) -> CopickPicksFile:
        file: CopickPicksFile = self.meta
        return file

    @property
    def loaded(self) -> bool:
        """Whether there are points in memory, read or set."""
        return self._points is not None or self._table is not None

    def _make_meta(self) -> CopickPicksFile:
        return CopickPicksFile.model_validate(self._identity | {"run_name": self.run.name})

    def _state(self) -> Any:
        if self._table is None and self._points is None:
            return None
        return (self._table, self._points, self._header, self._base, self._told(), self._etag)

    def _restore(self, state: Any) -> None:
        self._table, self._points, self._header, self._base, told, self._etag = state
        self._meta = self._model((self._header or {}) | told)

    async def _columns(self) -> PicksTable:
        """The data as columns, loaded when it is not yet."""
        await self._look()
        table, points = self._held()
        if points is not None:
            return await _as_columns(points, self._header or {})
        assert table is not None
        return table

    def _held(self) -> tuple[PicksTable | None, list[CopickPoint] | None]:
        # In this order: another thread that just makes points of the columns sets the points first.
        table = self._table
        return table, self._points

    def _columns_at_hand(self) -> PicksTable | None:
        """The data as columns, for callers outside the loop; None when it has to be loaded."""
        if self._outdated:
            return None
        table, points = self._held()
        return table if points is None else PicksTable.from_points(points, self._header or {})

    @property
    def points(self) -> list[CopickPoint]:
        """The points as objects, made on first access. From then on they are what is stored.

        Raises
        ------
        NotLoadedError
            ``load()`` was not awaited yet, and nothing was set.
        """
        if self._points is None:
            if self._table is None:
                raise NotLoadedError(f"{self.path} is not loaded: await load() first.", path=self.path)
            self._points = self._table.to_points()
            self._table = None
        return self._points

    @points.setter
    def points(self, value: list[CopickPoint] | None) -> None:
        self._pin()
        self._points = [] if value is None else value
        self._table = None
        # The model of the file shows them as well; not by assignment, as points of other programs are taken too.
        self.meta.__dict__["points"] = self._points

    @property
    def data(self) -> list[CopickPoint]:
        """The specification's name of :attr:`points`."""
        return self.points

    @data.setter
    def data(self, value: list[CopickPoint] | None) -> None:
        self.points = value

    @property
    def trust_orientation(self) -> bool:
        """Whether the orientations mean anything; True before the file was loaded. It is set on :attr:`meta`."""
        return bool(((self._header or {}) | self._told()).get("trust_orientation", True))

    async def load(self) -> CopickPicksFile:
        """Read the file: one request.

        Returns
        -------
        CopickPicksFile
            Its points are made when they are touched; they are those of :attr:`points`.

        Raises
        ------
        NotFoundError
            There is no such file.
        FormatError
            The file cannot be understood; the message names the path.
        """
        file: CopickPicksFile = await super().load()
        return file

    async def _load(self) -> list[CopickPoint]:
        """The specification's loader: the points, [] when there is no file."""
        try:
            await self.load()
        except NotFoundError:
            return []
        return self.points

    async def update(self, function: Callable[[list[CopickPoint]], Any]) -> None:
        """Change the stored points, whatever others do at the same time.

        The file is loaded, changed and stored; when somebody else stored it in between, all is repeated.

        Parameters
        ----------
        function : callable
            Plain or coroutine function of the list of points. It changes the list, or returns a new one. It may be
            called several times. A missing file counts as no points.

        Raises
        ------
        ConflictError
            Somebody else was faster every time, until the timeout of the config.
        """

        async def edit() -> None:
            self.points = await edited(function, self.points)

        self._stack.writer()
        await self._retry(edit)


async def _as_columns(points: list[CopickPoint], header: dict[str, Any]) -> PicksTable:
    if len(points) > _MANY:
        return await in_thread(PicksTable.from_points, points, header)
    return PicksTable.from_points(points, header)
