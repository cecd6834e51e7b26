"""What CoPick's models have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

FIRST_ERROR = Field(fail_fast=True)
"""For lists in files of strangers: told of each bad item, a few megabytes of them would take a gigabyte."""


class Model(BaseModel):
    """A model of something in a file that other programs write, too: keys it does not know are kept."""

    # Between each model and pydantic's own class lies this one, so that `aiocopick.compat` can put copick's beside it.
    model_config = ConfigDict(extra="allow")
