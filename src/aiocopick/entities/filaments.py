"""Filaments: traced lines of an object in a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.concurrency.lazy import imported, numpy as np
from aiocopick.entities.files import AsyncFile, edited
from aiocopick.errors import NotFoundError, NotLoadedError
from aiocopick.layout.refs import FilamentsRef
from aiocopick.models.filaments import CopickFilament, CopickFilamentsFile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from aiocopick.entities.run import AsyncRun

_NAMED_BY_THE_FILE = frozenset({"pickable_object_name", "user_id", "session_id", "run_name", "filaments"})
"""Header fields that are given by the path of the file, or set in another way."""

_SET = -1
"""Value instead of the hash of loaded filaments if they were set. No hash is -1."""


class AsyncFilaments(AsyncFile):
    """The filaments of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : AsyncRun
        The run.
    file : CopickFilamentsFile
        Its names; filaments in it count as set.
    """

    __slots__ = ("_file", "_lines", "_print")

    noun: ClassVar[str] = "filaments"
    ref: FilamentsRef
    _file: CopickFilamentsFile | None
    _lines: list[CopickFilament] | None
    _print: int | None
    """Hash that tells if the loaded or stored file has changed since it was returned; None before that."""

    def __init__(self, run: AsyncRun, file: CopickFilamentsFile) -> None:
        self._begin_file(run, FilamentsRef, file)
        if file.filaments:
            self._lines = file.filaments

    # --- the data -----------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        # The file as loaded; lines set without it wait for it, so that what else it says is kept.
        if self._meta is getattr(self, "_file", None):
            self._meta = None
        self._file = None
        self._lines = None
        self._print = None

    def _accept(self, payload: CopickFilamentsFile) -> None:
        self._file = self._meta = payload
        self._lines = None
        self._print = None

    def _fingerprint(self) -> int:
        assert self._file is not None
        return hash(self._file.model_dump_json(warnings=False))

    def _written(self, payload: CopickFilamentsFile) -> None:
        self._print = self._fingerprint()

    async def _is_edited(self) -> bool:
        if self._file is None:
            return self._lines is not None
        return self._print is not None and self._fingerprint() != self._print

    def _assign(self, meta: CopickFilamentsFile) -> None:
        if self._file is not None:
            self._accept(meta)
            self._print = _SET
            return
        super()._assign(meta)
        if "filaments" in meta.model_fields_set:
            self._pin()
            self._lines = meta.filaments

    def _edited_header(self) -> dict[str, Any]:
        """Return the header fields that were set on :attr:`meta` before the file was read."""
        meta = self._meta
        if meta is None:
            return {}
        names = meta.model_fields_set - _NAMED_BY_THE_FILE
        told = {name: getattr(meta, name) for name in names} | (meta.model_extra or {})
        return {name: value for name, value in told.items() if value is not None}

    def _blank(self) -> None:
        self._accept(self._make_meta())

    @property
    def loaded(self) -> bool:
        """True if filaments are in memory, read or set."""
        return self._file is not None or self._lines is not None

    @property
    def _lacks_base(self) -> bool:
        return self._file is None and self._lines is not None

    def _accept_base(self, payload: CopickFilamentsFile | None) -> None:
        base = self._make_meta() if payload is None else payload
        told = self._edited_header()
        base.filaments = self._lines or []
        for name, value in told.items():
            setattr(base, name, value)
        self._accept(base)
        self._print = _SET

    async def _payload(self) -> CopickFilamentsFile | None:
        return None if self._file is None else self._file.model_copy(update=self._identity)

    def _content(self) -> CopickFilamentsFile:
        assert self._file is not None
        return self._file

    def _make_meta(self) -> CopickFilamentsFile:
        return CopickFilamentsFile.model_validate(self._identity | {"run_name": self.run.name})

    def _state(self) -> Any:
        return (
            None
            if self._file is None and self._lines is None
            else (self._file, self._lines, self._print, self._edited_header(), self._etag)
        )

    def _restore(self, state: Any) -> None:
        self._file, self._lines, self._print, told, self._etag = state
        self._meta = self._file or CopickFilamentsFile.model_validate(told | self._identity)

    @property
    def filaments(self) -> list[CopickFilament]:
        """The filaments, in the order of the file.

        Raises
        ------
        NotLoadedError
            ``load()`` was not awaited yet, and nothing was set.
        """
        if self._file is not None:
            if self._print is None:
                self._print = self._fingerprint()
            return self._file.filaments
        if self._lines is None:
            raise NotLoadedError(f"{self.path} is not loaded: await load() first.", path=self.path)
        return self._lines

    @filaments.setter
    def filaments(self, value: Sequence[CopickFilament] | None) -> None:
        lines = [line if hasattr(line, "model_dump") else CopickFilament.model_validate(line) for line in value or ()]
        # Two filaments of one id are refused here rather than when they are stored.
        CopickFilamentsFile.model_validate(self._identity | {"filaments": [_plain(line) for line in lines]})
        self._pin()
        if self._file is None:
            self._lines = lines
        else:
            self._file.filaments = lines
            self._print = _SET

    @property
    def voxel_spacing(self) -> float | None:
        """Voxel size of what they were traced in, in angstrom; None when not loaded or not known."""
        return None if self._meta is None else self._meta.voxel_spacing

    async def load(self) -> CopickFilamentsFile:
        """Read the file: one request.

        Raises
        ------
        NotFoundError
            The file does not exist.
        FormatError
            The file cannot be decoded; the message names the path.
        """
        file: CopickFilamentsFile = await super().load()
        return file

    async def _read(self, *, listed: bool = False) -> None:
        await super()._read(listed=listed)
        self._print = self._fingerprint()

    async def _load(self) -> list[CopickFilament]:
        """Return the filaments, [] if there is no file."""
        try:
            await self.load()
        except NotFoundError:
            return []
        return self.filaments

    async def _loaded(self) -> list[CopickFilament]:
        await self._look()
        return self.filaments

    async def get(self, instance_id: int) -> CopickFilament | None:
        """The filament of an id, or None; loaded if necessary."""
        return next((line for line in await self._loaded() if line.instance_id == instance_id), None)

    async def instance_ids(self) -> NDArray[np.int64]:
        """Ids of the filaments, (K,) int64, in the order of the file."""
        return np.array([line.instance_id for line in await self._loaded()], dtype=np.int64)

    async def numpy(self) -> list[NDArray[np.float64]]:
        """Lines as (M, 3) float64 arrays of x, y, z in angstrom, in the order of the file."""
        return [np.asarray(line.points, dtype=np.float64).reshape(-1, 3) for line in await self._loaded()]

    async def from_numpy(
        self,
        polylines: Sequence[ArrayLike],
        instance_ids: Sequence[int] | None = None,
        polarity_known: Sequence[bool] | None = None,
        scores: Sequence[float] | None = None,
        radii: Sequence[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: Sequence[dict[str, Any] | None] | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the filaments; they have no curves then.

        Parameters
        ----------
        polylines : sequence of array_like
            (M, 3) each, M >= 2: x, y, z in angstrom, in order along the filament.
        instance_ids : sequence of int, optional
            1 or more, all different; 1 to K without.
        polarity_known : sequence of bool, optional
            True if the order follows the polarity; by default False.
        scores : sequence of float, optional
            1 without.
        radii : sequence of float or None, optional
            Radii of the tubes in angstrom.
        voxel_spacing : float, optional
            Voxel size of what they were traced in, in angstrom; without, that of an existing file stays.
        metadata : sequence of dict or None, optional
            Anything else.
        store : bool
            Also write the file.

        Raises
        ------
        ValueError
            The lengths differ, or a filament cannot be stored.
        """
        if store:
            self._stack.writer()
        await imported("numpy")
        columns = {
            "instance_ids": instance_ids,
            "polarity_known": polarity_known,
            "scores": scores,
            "radii": radii,
            "metadata": metadata,
        }
        for name, values in columns.items():
            if values is not None and len(values) != len(polylines):
                raise ValueError(f"{name} must have one entry per filament ({len(polylines)}), got {len(values)}.")
        lines = []
        for index, line in enumerate(polylines):
            points = np.asarray(line, dtype=np.float64)
            if points.ndim != 2 or points.shape[1] != 3:
                raise ValueError(f"polylines must have shape (M, 3); the one at index {index} has {points.shape}.")
            lines.append(
                CopickFilament(
                    instance_id=index + 1 if instance_ids is None else int(instance_ids[index]),
                    points=points.tolist(),
                    polarity_known=False if polarity_known is None else bool(polarity_known[index]),
                    score=1.0 if scores is None else float(scores[index]),
                    radius=None if radii is None or (radius := radii[index]) is None else float(radius),
                    metadata={} if metadata is None else dict(metadata[index] or {}),
                )
            )
        self.filaments = lines
        if voxel_spacing is not None:
            self.meta.voxel_spacing = float(voxel_spacing)
        if store:
            await self.store()

    async def update(self, function: Callable[[list[CopickFilament]], Any]) -> None:
        """Change the stored filaments, also if other writers change them at the same time; as
        :meth:`AsyncPicks.update`.

        Parameters
        ----------
        function : callable
            Plain or coroutine function of the list of filaments. It changes the list, or returns a new one. It may be
            called several times.
        """

        async def edit() -> None:
            self.filaments = await edited(function, self.filaments)

        self._stack.writer()
        await self._retry(edit)


def _plain(line: Any) -> dict[str, Any]:
    content: dict[str, Any] = line.model_dump()
    return content
