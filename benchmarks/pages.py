"""Output of figures: printed, and written into a page between two comments with their name."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--into", type=Path, help="A page into which the figures are written.")


def publish_figures(name: str, figures: list[str], into: Path | None) -> None:
    """Prints the figures, and replaces the text of the page between `<!-- name -->` and `<!--
    end of name -->`.
    """
    text = "\n".join(figures)
    print(f"\n{text}")
    if into is not None:
        first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
        page = into.read_text()
        before, opened, rest = page.partition(first)
        _, closed, behind = rest.partition(last)
        if not (opened and closed):
            sys.exit(f"{into} lacks the marks of {name}: {first} and {last}.")
        into.write_text(f"{before}{first}\n\n{text}\n\n{last}{behind}")


def describe_machine(loads: list[float]) -> str:
    """Returns a line for the page: time, commit, load and machine of the measurement."""
    described = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(described, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    load = f"a load of {min(loads):.1f} to {max(loads):.1f}"
    versions = f"Python {platform.python_version()}, Linux {platform.release().partition('-')[0]}"
    day = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    cores = f"{os.cpu_count()} cores, {load}, {_read_cpu_name()}"
    return f"{day}, at {commit.strip()}: {cores}, {versions}."


def _read_cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
