"""What every mapping of the fleet file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the fleet file: every key is optional, and no other key is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
