"""MkDocs hooks: what the site needs beyond the Markdown files, which are written for GitHub."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

SHIM = Path(__file__).with_name("iframe-worker.js")


def on_files(files: Files, *, config: Any) -> Files:
    files.append(File.generated(config, f"assets/{SHIM.name}", content=SHIM.read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: Any, files: Files) -> str:
    """Replaces links to files outside docs/, which the site does not have, with their text."""
    folder = PurePosixPath(page.file.src_uri).parent

    def replace(match: re.Match[str]) -> str:
        target = match["target"].partition("#")[0]
        outside = normpath(f"{folder}/{target}").startswith("../")
        return match["text"] if outside else match[0]

    return re.sub(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>(?!\w+:)[^)\s]+)\)", replace, markdown)
