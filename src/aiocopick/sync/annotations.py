"""What the facade's picks, meshes and filaments have in common."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from aiocopick.errors import ReadOnlyError
from aiocopick.sync.base import BlockingEntity
from aiocopick.sync.places import stripped

if TYPE_CHECKING:
    from aiocopick.entities.files import AsyncFile


File = TypeVar("File", bound="AsyncFile")


class Annotation(BlockingEntity[File]):
    """A facade object that is one file of a run."""

    parent_name: ClassVar[str] = "run"
    noun: ClassVar[str] = ""
    """Plural of the kind: the name of the cached list in the run."""

    run: Any

    @property
    def pickable_object_name(self) -> str:
        """The object it annotates."""
        return self.aio.pickable_object_name

    @property
    def user_id(self) -> str:
        """User or tool that made it."""
        return self.aio.user_id

    @property
    def session_id(self) -> str:
        """Session it was made in; ``"0"`` for tools."""
        return self.aio.session_id

    @property
    def directory(self) -> str:
        """Folder that it lies in, as :attr:`fs` has it; with a slash at its end."""
        return f"{stripped(self.layer, self.path).rpartition('/')[0]}/"

    @property
    def from_tool(self) -> bool:
        """Whether a tool made it."""
        return self.aio.from_tool

    @property
    def from_user(self) -> bool:
        """Whether a user made it."""
        return self.aio.from_user

    def store(self, *, overwrite: bool = False) -> None:
        """Write the file: one request, and one to read it first when data was set without loading it.

        See :meth:`aiocopick.AsyncPicks.store`.
        """
        self._refuse_static()
        self._call(self.aio.store, overwrite=overwrite)

    def _refuse_static(self) -> None:
        # The async twin writes to the overlay; code written for copick counts on the refusal.
        if self.read_only:
            raise ReadOnlyError(
                f"{self.path} lies in the read-only layer {self.layer.name!r}; write to what "
                f"new_{self.kind}(..., exist_ok=True) gives.",
                path=self.path,
            )

    def _store(self) -> None:
        self._call(self.aio._store)

    def refresh(self) -> None:
        """Read the file again, at once."""
        self.load()

    def load(self) -> Any:
        """Read the file: one request.

        See :meth:`aiocopick.AsyncPicks.load`.
        """
        return self._call(self.aio.load)

    def delete(self) -> None:
        """Delete the file, from every layer that can be written to.

        See :meth:`aiocopick.AsyncPicks.delete`.
        """
        self._call(self.aio.delete)
        self.run._deleted(self.noun)
