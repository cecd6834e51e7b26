"""Common base of CoPick's models."""

from __future__ import annotations

from typing import Any

import pydantic.main
from pydantic import BaseModel, ConfigDict, Field, model_validator

FIRST_ERROR = Field(fail_fast=True)
"""For lists in untrusted files: error reports for all bad items in a few megabytes would take a gigabyte."""


DEFERRED = hasattr(pydantic.main, "_rebuild_lock")
"""True if validators are made when they are first used: most commands use few. Older releases of pydantic have no lock
for that, and give a thread what another has half made.
"""


class Model(BaseModel):
    """A model of file content that other programs also write: unknown keys are kept."""

    # This class is between each model and pydantic's own class, so that `aiocopick.compat` can add copick's as a base.
    # NaN and infinities in unknown keys are kept: pydantic would write them as null.
    model_config = ConfigDict(extra="allow", ser_json_inf_nan="constants", defer_build=DEFERRED)

    @model_validator(mode="before")
    @classmethod
    def _take_copicks_own(cls, value: Any) -> Any:
        # Methods inherited from copick's models, and tools, make copick's own class of the same name.
        if isinstance(value, BaseModel) and not isinstance(value, cls) and _is_copicks_own(value, cls):
            return value.model_dump()
        return value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BaseModel) and not isinstance(other, Model) and _is_copicks_own(other, type(self)):
            return dict(self) == dict(other)
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]


def null_is_empty(value: Any) -> Any:
    """Return a dictionary for the null that other programs write in its place."""
    return {} if value is None else value


def _is_copicks_own(value: BaseModel, cls: type[BaseModel]) -> bool:
    """Return True if copick's own class is a base of our model, which is so once ``aiocopick.compat`` is imported."""
    return issubclass(cls, type(value))
