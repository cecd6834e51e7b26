"""CoPick's model of a picks file, whose points are created on first access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import PrivateAttr, SerializerFunctionWrapHandler, model_serializer

from aiocopick.models.points import CopickPicksFile, CopickPoint


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
