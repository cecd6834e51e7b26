"""Picks: points of an object in a run, held as columns until they are accessed as objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr, SerializerFunctionWrapHandler, ValidationError, model_serializer

from aiocopick.concurrency.lazy import imported, numpy as np
from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.files import AsyncFile, edited
from aiocopick.entities.picks_frames import check_format, from_frame, to_frame
from aiocopick.errors import FormatError, NotFoundError, NotLoadedError
from aiocopick.formats.picks_table import PicksTable
from aiocopick.layers.codecs import encode
from aiocopick.layout.refs import PicksRef
from aiocopick.models.points import CopickPicksFile, CopickPoint

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from aiocopick.entities.run import AsyncRun


_SETTABLE = frozenset({"voxel_spacing", "unit", "trust_orientation"})
"""Header fields that are stored if they are set on the model of the file."""

_MANY = 2000
"""Number of objects whose conversion to columns takes about as long as a thread call."""


class AsyncPicks(AsyncFile):
    """The picks of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : AsyncRun
        The run.
    file : CopickPicksFile
        Its names; points in it count as set.
    """

    __slots__ = ("_base", "_header", "_points", "_table")

    noun: ClassVar[str] = "picks"
    ref: PicksRef
    _base: PicksTable | None
    """Content of the file when it was loaded or stored."""
    _header: dict[str, Any] | None
    _points: list[CopickPoint] | None
    _table: PicksTable | None

    def __init__(self, run: AsyncRun, file: CopickPicksFile) -> None:
        self._begin_file(run, PicksRef, file)
        if file.points:
            self._points = file.points

    # --- in memory ------------------------------------------------------------------------------------------------------

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
        """Return CoPick's model of the file, whose points are read on access."""
        try:
            return LoadedPicksFile.over(header | self._identity, lambda: self.points)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, problem["loc"]))
            raise FormatError(f"{self.path} is not a picks file: {field}: {problem['msg']}.", path=self.path) from None

    def _edited_header(self) -> dict[str, Any]:
        """Header fields set on :attr:`meta`, or read into it."""
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
        header = (self._header or self._new_header()) | self._edited_header() | self._identity
        table = self._table if self._points is None else await _as_columns(self._points, header)
        if table is not None:
            table.header, table.exact = header, True
        return table

    def _written(self, payload: PicksTable) -> None:
        self._base = payload

    async def _is_edited(self) -> bool:
        told = self._edited_header()
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
        """True if points are in memory, read or set."""
        return self._points is not None or self._table is not None

    def _make_meta(self) -> CopickPicksFile:
        return CopickPicksFile.model_validate(self._identity | {"run_name": self.run.name})

    def _state(self) -> Any:
        if self._table is None and self._points is None:
            return None
        return (self._table, self._points, self._header, self._base, self._edited_header(), self._etag)

    def _restore(self, state: Any) -> None:
        self._table, self._points, self._header, self._base, told, self._etag = state
        self._meta = self._model((self._header or {}) | told)

    async def _columns(self) -> PicksTable:
        """The data as columns, loaded if necessary."""
        if not self.loaded:
            await self._read(listed=True)
        elif self._outdated:
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

    def _cached_columns(self) -> PicksTable | None:
        """The data as columns, for callers outside the loop; None when it has to be loaded."""
        if self._outdated:
            return None
        table, points = self._held()
        return table if points is None else PicksTable.from_points(points, self._header or {})

    # --- as objects -----------------------------------------------------------------------------------------------------

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
        """True if the orientations are meaningful; True before the file was loaded. It is set on :attr:`meta`."""
        return bool(((self._header or {}) | self._edited_header()).get("trust_orientation", True))

    async def load(self) -> CopickPicksFile:
        """Read the file: one request.

        Returns
        -------
        CopickPicksFile
            Its points are made when they are touched; they are those of :attr:`points`.

        Raises
        ------
        NotFoundError
            The file does not exist.
        FormatError
            The file cannot be decoded; the message names the path.
        """
        # As every file is loaded, and one call less for each of many.
        source = (self._sources or await self._resolve())[0]
        self._take(await source.layer.load(source.located))
        return self._content()

    async def _load(self) -> list[CopickPoint]:
        """Return the points, [] if there is no file (the specification's loader)."""
        try:
            await self.load()
        except NotFoundError:
            return []
        return self.points

    async def update(self, function: Callable[[list[CopickPoint]], Any]) -> None:
        """Change the stored points, also if other writers change them at the same time.

        The file is loaded, changed and stored; if another writer stored it in between, all is repeated.

        Parameters
        ----------
        function : callable
            Plain or coroutine function of the list of points. It changes the list, or returns a new one. It may be
            called several times. A missing file counts as no points.

        Raises
        ------
        ConflictError
            Another writer was faster every time, until the timeout of the config.
        """

        async def edit() -> None:
            self.points = await edited(function, self.points)

        self._stack.writer()
        await self._retry(edit)

    # --- as arrays and data frames --------------------------------------------------------------------------------------

    async def numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and orientations, loaded if necessary; :meth:`scores` and :meth:`instance_ids` go with them.

        Returns
        -------
        positions : ndarray
            (N, 3) float64: x, y, z in angstrom.
        transforms : ndarray
            (N, 4, 4) float64, from object space to tomogram space; translations in angstrom.
        """
        return (await self._columns()).poses()

    async def to_numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Positions and scores, loaded if necessary: the specification's form. Prefer :meth:`numpy`.

        The second value is not that of :meth:`numpy`, which gives transforms.

        Returns
        -------
        positions : ndarray
            (N, 3) float64: x, y, z in angstrom.
        scores : ndarray or None
            (N,) float64, NaN if it is null in the file; None when no point has one.
        """
        table = await self._columns()
        scores = table.scores if table.has_scores() else None
        return table.positions.copy(), None if scores is None else scores.copy()

    async def scores(self) -> NDArray[np.float64]:
        """Scores, (N,) float64: 1 if the key is absent, NaN if it is null."""
        return (await self._columns()).filled_scores().copy()

    async def instance_ids(self) -> NDArray[np.int64]:
        """Instance ids, (N,) int64; 0 where a point has none."""
        return (await self._columns()).ids().copy()

    async def full_positions(self) -> NDArray[np.float64]:
        """Centres of the particles, (N, 3) in angstrom: positions plus the translations of the transforms."""
        return (await self._columns()).full_positions()

    async def from_numpy(
        self,
        positions: ArrayLike,
        transforms: ArrayLike | None = None,
        instance_ids: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the points.

        ``run_name``, ``voxel_spacing``, ``trust_orientation`` and keys that CoPick does not know stay as they are in an
        existing file.

        Parameters
        ----------
        positions : array_like
            (N, 3): x, y, z in angstrom; finite.
        transforms : array_like, optional
            (N, 4, 4); the identity without.
        instance_ids : array_like, optional
            (N,) integers, 0 or more; 0 without.
        scores : array_like, optional
            (N,), finite, or NaN for null; 1 without.
        store : bool
            Also write the file.

        Raises
        ------
        ValueError
            A shape is wrong, or a value cannot be stored; the message says which.
        ConflictError
            Another writer changed the file since it was loaded.
        """
        if store:
            self._stack.writer()
        await imported("numpy")
        table = PicksTable.from_arrays(positions, transforms, instance_ids, scores)
        finite = np.isfinite(table.positions).all(axis=1)
        if not finite.all():
            raise ValueError(f"positions must be finite; the one at index {int(np.argmin(finite))} is not.")
        self._pin()
        self._table = table
        self._points = None
        self._meta = self._model((self._header or {}) | self._edited_header())
        if store:
            await self.store()

    async def df(self, /, format: str = "relion", **kwargs: Any) -> pd.DataFrame:
        """The points as a data frame, loaded if necessary. Needs pandas and scipy.

        Parameters
        ----------
        format : {"relion"}
            RELION's particle table.
        voxel_spacing : float, optional
            In angstrom: prefer the tomogram of this size for the centre.
        tilt_series_pixel_size : float, optional
            In angstrom; adds the columns ``rlnCoordinate{X,Y,Z}``, in tilt-series pixels.
        tomogram_center : sequence of float, optional
            x, y, z in angstrom; without, half the extent of a tomogram of the run.
        tomo_type : str, optional
            Type of the tomogram whose centre is meant.
        filament : bool or "auto"
            Whether to write RELION's filament columns; by default for objects declared filaments.
        polarity_known : bool or (N,) bools
            For filament columns: whether the order of the points follows the polarity.

        Raises
        ------
        ValueError
            The format is not known, or the table cannot be made.
        """
        check_format(format)
        return await to_frame(self, **kwargs)

    async def from_df(self, /, df: pd.DataFrame, format: str = "relion", **kwargs: Any) -> None:
        """Replace the points by those of a data frame, and store them. Needs pandas and scipy.

        Parameters
        ----------
        df : DataFrame
            RELION's particle table; all its rows belong to this run.
        format : {"relion"}
            What the columns are.
        optics : DataFrame, optional
            The optics table of the same STAR file.
        tilt_series_pixel_size : float, optional
            In angstrom; overrides `optics`.
        tomogram_center : sequence of float, optional
            x, y, z in angstrom; without, half the extent of a tomogram of the run.
        relion_version : {"relion4", "relion5"}, optional
            Require pixel coordinates, or centred ones.

        Raises
        ------
        ValueError
            The format is not known, or the table cannot be understood.
        """
        check_format(format)
        await from_frame(self, df, **kwargs)


async def _as_columns(points: list[CopickPoint], header: dict[str, Any]) -> PicksTable:
    await imported("numpy")
    if len(points) > _MANY:
        return await in_thread(PicksTable.from_points, points, header)
    return PicksTable.from_points(points, header)


# --- copick's model of the file ---------------------------------------------------------------------------------------


class LoadedPicksFile(CopickPicksFile):
    """The result of ``AsyncPicks.load()``, equal to a plain :class:`~aiocopick.models.CopickPicksFile` in all it does.

    A file of 100,000 points is a few arrays; as objects it is half a gigabyte, so `points` makes them on first access.
    They are the points of the picks themselves: what is changed here is stored there.
    """

    _make: Callable[[], list[CopickPoint]] | None = PrivateAttr(None)

    @classmethod
    def over(cls, header: dict[str, Any], make: Callable[[], list[CopickPoint]]) -> LoadedPicksFile:
        """A file with this envelope and, once touched, these points."""
        file = cls.model_validate(header | {"points": []})
        del file.__dict__["points"]
        file._make = make
        return file

    def __getattr__(self, name: str) -> Any:
        if name == "points" and self._make is not None:
            self.__dict__["points"] = points = self._make()
            return points
        return super().__getattr__(name)  # type: ignore[misc]

    @model_serializer(mode="wrap")
    def _with_points(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        self._materialise()
        content: dict[str, Any] = handler(self)
        return content

    def _materialise(self) -> None:
        _ = self.points

    def __eq__(self, other: object) -> bool:
        self._materialise()
        if isinstance(other, CopickPicksFile):
            return dict(self) == dict(other) and self.model_extra == other.model_extra
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        self._materialise()
        return super().__iter__()

    def __repr_args__(self) -> Any:
        self._materialise()
        return super().__repr_args__()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_plain, (dict(self),))

    def __copy__(self) -> Any:
        return _plain(dict(self))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        return _plain(dict(self)).model_copy(deep=True)

    def model_copy(self, **kwargs: Any) -> Any:
        """Copy like any model."""
        return _plain(dict(self)).model_copy(**kwargs)


def _plain(content: dict[str, Any]) -> CopickPicksFile:
    return CopickPicksFile.model_construct(**content)
