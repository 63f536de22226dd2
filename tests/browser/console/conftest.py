"""The console in Chromium, with both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, ViewportSize

from tests.browser.conftest import BrowserVisit, open_profile
from tests.client import Client
from tests.conftest import POSTGRESQL, SQLITE


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def narrow(client: Client, chromium: Browser) -> AsyncIterator[BrowserVisit]:
    """A phone with 360 pixels, the narrowest that is common."""
    screen = ViewportSize(width=360, height=740)
    async with open_profile(
        client.url, chromium, viewport=screen, is_mobile=True, has_touch=True
    ) as visit:
        yield visit
