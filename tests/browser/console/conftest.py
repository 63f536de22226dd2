"""The console in Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, ViewportSize

from tests.browser.conftest import BrowserVisit, open_phone
from tests.client import Client


@pytest.fixture
async def narrow(client: Client, chromium: Browser) -> AsyncIterator[BrowserVisit]:
    """A phone with 360 pixels, the narrowest that is common."""
    async with open_phone(client.url, chromium, ViewportSize(width=360, height=740)) as visit:
        yield visit
