"""Draws a run as an SVG bar chart: responses per second by operation, database and server."""

from __future__ import annotations

from html import escape

from benchmarks.peers.documents import DESCRIPTIONS, READS
from benchmarks.peers.results import BenchmarkRun
from benchmarks.peers.servers import (
    BARE,
    KINDS,
    MERCURIUS,
    NAIVE,
    POSTGRAPHILE,
    POSTGRESQL,
    SQLITE,
    US,
)

COLOURS = {
    US: "#c2410c",
    BARE: "#a8a29e",
    MERCURIUS: "#0f766e",
    POSTGRAPHILE: "#1d4ed8",
    NAIVE: "#57534e",
}
WIDTH, LEFT, BAR, GAP = 860, 150, 15, 26
_LONGEST = WIDTH - LEFT - 80


def render_picture(run: BenchmarkRun) -> str:
    """Each group has its own scale: its longest bar is the fastest server."""
    parts: list[str] = []
    y = 34
    for operation in (*READS, "log"):
        for database in (SQLITE, POSTGRESQL):
            rates = {
                kind.name: rate
                for kind in reversed(KINDS)
                if (rate := run.rate(database, operation, kind.name)) is not None
            }
            if rates:
                parts.append(
                    _render_text(
                        8,
                        y,
                        f"{DESCRIPTIONS[operation].replace('`', '')}, {database}",
                        weight="bold",
                    )
                )
                y += 8
                for name, rate in rates.items():
                    parts += _render_bar(y, name, rate, max(rates.values()))
                    y += BAR
                y += GAP
    title = f"Responses per second, {run.events:,} events, 32 connections, one process each"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'viewBox="0 0 {WIDTH} {y}" font-family="system-ui, sans-serif" font-size="11">'
    )
    ground = f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>'
    return "\n".join([head, ground, _render_text(8, 16, title, size=13), *parts, "</svg>", ""])


def _render_bar(y: int, name: str, rate: float, longest: float) -> list[str]:
    length = max(1.0, _LONGEST * rate / longest) if longest else 1.0
    return [
        _render_text(LEFT - 6, y + 11, name, anchor="end"),
        f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{BAR - 4}" '
        f'fill="{COLOURS[name]}"/>',
        _render_text(LEFT + length + 5, y + 11, f"{rate:,.0f}"),
    ]


def _render_text(
    x: float, y: int, text: str, anchor: str = "start", weight: str = "normal", size: int = 11
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}" fill="#1c1917">{escape(text)}</text>'
    )
