"""The settings, from TOCSIN_* in the environment. Read at the edge, handed inwards as values."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.domain.limits import Limits, SocketLimits


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TOCSIN_", env_nested_delimiter="__")

    database_url: str = Field(
        default="sqlite:///tocsin.db", description="sqlite:///FILE or postgresql://USER@HOST/NAME"
    )
    bootstrap_key: str | None = Field(
        default=None, description="The administrator's key of an empty database; else one is made."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="The server as clients address it; without it, as each request did.",
    )
    buffer_entries: int = Field(
        default=1000, ge=1, description="Log entries that wait in memory for one subscriber."
    )
    limits: Limits = Field(default_factory=Limits, description="TOCSIN_LIMITS__PAGE and so on.")
    sockets: SocketLimits = Field(
        default_factory=SocketLimits, description="TOCSIN_SOCKETS__OPERATIONS and so on."
    )
