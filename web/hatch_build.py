"""Builds the web pages before hatchling packs them into a wheel or a source distribution.

The source distribution contains the built pages, so building a wheel from it does not need Node.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WebPagesHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        is_source_distribution = (root / "PKG-INFO").is_file()
        # `make setup` builds the pages after the editable installation.
        if version != "editable" and not is_source_distribution:
            subprocess.run([root / "web" / "build", sys.executable], check=True)
