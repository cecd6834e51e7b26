"""What CoPick's models have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A model of something in a file that other programs write, too: keys it does not know are kept."""

    # Between each model and pydantic's own class lies this one, so that `aiocopick.compat` can put copick's beside it.
    model_config = ConfigDict(extra="allow")
