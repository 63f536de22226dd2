"""Whether the process is alive."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """200 as long as the process serves, whatever the database does."""
    return {"status": "ok"}
