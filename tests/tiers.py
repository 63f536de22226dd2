"""Which tests `make test` runs, and which run in `make check` only.

The folder of a test decides. `make test` runs one tier (`pytest --tier=test`), `make check` both.
"""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
TEST = "test"
CHECK = "check"
TIERS = {
    TEST: {
        "archives",
        "configuration",
        "contract",
        "domain",
        "graphql",
        "http",
        "plans",
        "seeds",
        "services",
        "store",
    },
    # These are slow, or need Node or a browser.
    CHECK: {
        "audits",
        "benchmarks",
        "browser",
        "clients",
        "cloudevents",
        "concurrency",
        "deploy",
        "faults",
        "fuzz",
        "manners",
        "packages",
        "parity",
        "sockets",
    },
}


def tiers_of(file: Path) -> list[str]:
    """The tiers of a test file: exactly one, unless its folder is missing above."""
    folder = file.relative_to(TESTS).parts[0]
    return [tier for tier, folders in TIERS.items() if folder in folders]
