"""How a run on the facade is listed: with the runs beside it."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from aiocopick.entities.run import AsyncRun
from aiocopick.models.entities import CopickRun
from aiocopick.sync.base import BlockingEntity
from aiocopick.sync.places import InBothLayers

if TYPE_CHECKING:
    from aiocopick.sync.cohort import Cohort
    from aiocopick.sync.root import CopickRootFS

P = ParamSpec("P")
T = TypeVar("T")


class RunBase(InBothLayers, BlockingEntity[AsyncRun], CopickRun):
    """A run and the lists of its children."""

    parent_name: ClassVar[str] = "root"
    lists: ClassVar[tuple[str, ...]] = ("voxel_spacings", "picks", "meshes", "segmentations", "filaments")

    _cohort: Cohort | None = None

    @property
    def root(self) -> CopickRootFS:
        """The project."""
        return self._root

    def _ahead(self, noun: str) -> None:
        """Before a noun is asked for the first time: the runs beside this one are listed with it."""
        if self._cohort is not None and self.aio._at_hand(noun) is None:
            self._cohort.list_once(self)

    def _look(
        self, noun: str, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As ``_call``, for what asks for a noun."""
        self._ahead(noun)
        return self._call(function, *args, **kwargs)

    def _listed(self, noun: str, ask: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        if getattr(self, f"_{noun}") is None:
            self._ahead(noun)
        return super()._listed(noun, ask)
