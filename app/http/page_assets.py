"""Files of the pages that `make setup` builds from web/: GraphiQL and the console."""

from __future__ import annotations

import re
from os import stat_result
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
_ACCEPTS_GZIP = re.compile(r"(^|,)\s*gzip\s*(,|$|;\s*q=(1|0\.0*[1-9]))", re.IGNORECASE)


def build_security_headers(policy: str) -> dict[str, str]:
    """Returns the headers of a page with this content security policy."""
    return {
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


class AssetFiles(StaticFiles):
    """Files with a content hash in their names, which can be cached permanently.

    If `web/build` has compressed a file, clients that accept gzip get the compressed file, which
    has its own ETag.
    """

    def __init__(self, folder: Path, headers: dict[str, str]) -> None:
        """Without the folder the server starts, and its files return 404."""
        super().__init__(directory=folder, check_dir=False)
        self._headers = headers | {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        }

    def lookup_path(self, path: str) -> tuple[str, stat_result | None]:
        """Finds a file. Compressed files are found only under the name of the original."""
        return ("", None) if path.endswith(".gz") else super().lookup_path(path)

    def file_response(
        self,
        full_path: PathLike,
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        accepted = ",".join(Headers(scope=scope).getlist("accept-encoding"))
        compressed = Path(f"{full_path}.gz")
        is_compressed = _ACCEPTS_GZIP.search(accepted) is not None and compressed.is_file()
        if is_compressed:
            full_path, stat_result = compressed, compressed.stat()
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(self._headers)
        if is_compressed and response.status_code == status_code:  # a 304 has no content
            response.headers["Content-Encoding"] = "gzip"
        return response

    async def check_config(self) -> None:
        """Does nothing, because the folder may not exist."""
