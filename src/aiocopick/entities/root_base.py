"""What a root is, whatever is asked of it: its layers, its config, its caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

import anyio

from aiocopick.entities.lists import Children
from aiocopick.layers.build import make_stack

if TYPE_CHECKING:
    from types import TracebackType

    from aiocopick.entities.object import AsyncObject
    from aiocopick.entities.run import AsyncRun
    from aiocopick.errors import CopickError
    from aiocopick.layers import Layer, Merged, Stack
    from aiocopick.layout.refs import Ref
    from aiocopick.models.config import CopickConfig
    from aiocopick.storage.stats import StorageStats


class RootBase:
    """The layers and caches of a root."""

    __slots__ = ("_lock", "_maps", "_named_runs", "_object_list", "_objects", "_runs", "_stack", "config")

    def __init__(self, config: CopickConfig) -> None:
        self._begin(config, make_stack(config))

    def _begin(self, config: CopickConfig, stack: Stack) -> None:
        self.config = config
        self._stack = stack
        self._runs: Children[AsyncRun] = Children()
        # Runs that were looked up or crawled, as long as somebody has them: all of them may be too many to keep.
        self._named_runs: WeakValueDictionary[Ref, AsyncRun] = WeakValueDictionary()
        self._objects: dict[str, AsyncObject] = {}
        self._object_list: list[AsyncObject] = []
        self._maps: dict[str, Merged] | None = None
        self._lock: tuple[object, anyio.Lock] | None = None

    @classmethod
    def _over(cls, config: CopickConfig, stack: Stack) -> Self:
        root = cls.__new__(cls)
        root._begin(config, stack)
        return root

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(layer.url) for layer in self.layers)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RootBase):
            return NotImplemented
        return self is other or self._stack == other._stack

    def __hash__(self) -> int:
        return hash(self._stack)

    def __reduce__(self) -> tuple[Any, ...]:
        # The config is what travels; whoever unpickles it connects anew.
        return (_rebuild, (type(self), self.config, self._stack))

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Self:
        """Itself, so that every entity and the root have one."""
        return self

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, the highest priority first."""
        return self._stack.layers

    @property
    def skipped_layers(self) -> dict[str, CopickError]:
        """Layers that could not be listed when they were last asked, and why: what they hold is not seen.

        Empty, unless the stack has ``on_layer_error="skip"``.
        """
        return dict(self._stack.skipped)

    @property
    def layer(self) -> Layer:
        """The layer that new entities go to; the one seen first when none can be written to."""
        return self.layers[0] if self._stack.read_only else self._stack.writer()

    @property
    def url(self) -> str:
        """URL of that layer, without secrets."""
        return self.layer.url

    @property
    def path(self) -> str:
        """As :attr:`url`."""
        return self.url

    @property
    def read_only(self) -> bool:
        """Whether nothing in it can be changed."""
        return self._stack.read_only

    @property
    def stats(self) -> StorageStats:
        """Requests by verb, bytes, retries, peak in flight: of all layers together."""
        return self._stack.stats

    @property
    def user_id(self) -> str | None:
        """User id of the config; settable, live."""
        return self.config.user_id

    @user_id.setter
    def user_id(self, value: str | None) -> None:
        self.config.user_id = value

    @property
    def session_id(self) -> str | None:
        """Session id of the config; settable, live."""
        return self.config.session_id

    @session_id.setter
    def session_id(self, value: str | None) -> None:
        self.config.session_id = value

    def path_of(self, key: str) -> str:
        """Root and key joined, without secrets."""
        return self.layer.path_of(key)

    @property
    def _fan_out(self) -> int:
        """Tasks at once; each layer bounds its own requests besides."""
        return int(getattr(self.config, "max_concurrency", 64))

    def refresh(self) -> None:
        """Forget the runs and objects, so that the next look asks the storage."""
        self._runs.forget()
        self._named_runs = WeakValueDictionary()
        self._maps = None
        self._objects = {}

    def options(self, **changes: Any) -> Self:
        """A view of the same project with other limits: ``root.options(timeout=5, max_concurrency=8)``.

        Connections and :attr:`stats` are shared, what was listed is not: a view has entities of its own, which are
        equal to those of this root but not the same objects. What one of the two writes, the other sees when it lists
        or loads again, and it refuses to store over a file that it knows in an older version.
        """
        config = self.config
        known = {name: value for name, value in changes.items() if name in type(config).model_fields}
        return type(self)._over(config.model_copy(update=known), self._stack.options(**changes))

    def _apart(self) -> Self:
        """The same project, the same connections, and entities of its own: to go through without touching these."""
        return type(self)._over(self.config, self._stack)

    async def reconnect(self) -> None:
        """Close the connections of this event loop and forget what was listed; the next request connects again."""
        self.refresh()
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this event loop; the next request connects again."""
        await self._stack.aclose()


def _rebuild(cls: type[RootBase], config: CopickConfig, stack: Stack) -> RootBase:
    return cls._over(config, stack)
