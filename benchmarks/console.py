"""Figures of the console in Chromium: first paint, scripts, frames per second, and memory.

A server on SQLite has 200,000 events. Each first paint is measured with an empty cache, by the link
that signs in. Then 50 events per second are logged, while the list of events is open and, every ten
seconds, shows the new ones. Run it with `make bench-console`.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.async_api import Browser, CDPSession, Page, Response, async_playwright

from benchmarks.pages import add_option, describe_machine, publish_figures
from benchmarks.peers.data import build_data
from benchmarks.processes import KEY, TOCSIN, build_environment, running_server

EVENTS = 200_000
EVENTS_PER_SECOND = 50
RUNS = 7
SHOW_SECONDS = 10
WARM_UP_SECONDS = 30
PATIENCE_SECONDS = 120
LOG = "mutation ($input: LogEventInput!) { logEvent(input: $input) { event { id } } }"
LAUNCH = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# The time at which the first rows are painted, in milliseconds since the navigation.
OBSERVE_ROWS = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('[data-event]')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.paintedAt = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""
COUNT_FRAMES = """(seconds) => new Promise((resolve) => {
  const lengths = [];
  let last = performance.now();
  const end = last + seconds * 1000;
  requestAnimationFrame(function frame(now) {
    lengths.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(frame);
    else resolve(lengths);
  });
})"""


@dataclass
class Figures:
    painted_ms: list[float] = field(default_factory=list)
    script_bytes: int = 0
    idle_frames: list[float] = field(default_factory=list)
    busy_frames: list[float] = field(default_factory=list)
    heaps: list[int] = field(default_factory=list)
    logged: int = 0
    loads: list[float] = field(default_factory=list)

    def note_load(self) -> None:
        self.loads.append(os.getloadavg()[0])


async def measure(url: str, minutes: float) -> Figures:
    figures = Figures()
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        await http.get(f"{url}/health")  # answers once the server has started
    async with async_playwright() as playwright:
        executable = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=executable, args=LAUNCH)
        for _ in range(RUNS):
            figures.note_load()
            await measure_first_paint(browser, url, figures)
        page = await open_console(browser, url)
        figures.idle_frames = await page.evaluate(COUNT_FRAMES, 10)
        async with log_events(url, figures):
            await measure_live_list(page, minutes, figures)
        figures.note_load()
        await browser.close()
    return figures


async def open_console(browser: Browser, url: str) -> Page:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    await context.add_init_script(OBSERVE_ROWS)
    page = await context.new_page()
    await page.goto(f"{url}/#key={KEY}")
    await wait_for_paint(page)
    return page


async def wait_for_paint(page: Page) -> float:
    """Returns the time of the first paint of the list, in milliseconds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (painted := await page.evaluate("window.paintedAt")) is None:
            await asyncio.sleep(0.1)
    return float(painted)


async def measure_first_paint(browser: Browser, url: str, figures: Figures) -> None:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    await context.add_init_script(OBSERVE_ROWS)
    scripts: list[Response] = []

    def add_script(response: Response) -> None:
        if response.url.endswith(".js"):
            scripts.append(response)

    page = await context.new_page()
    page.on("response", add_script)
    await page.goto(f"{url}/#key={KEY}")
    figures.painted_ms.append(await wait_for_paint(page))
    await page.wait_for_load_state("networkidle")
    # Not before the paint, which reading and compressing them would delay.
    figures.script_bytes = sum([len(gzip.compress(await each.body())) for each in scripts])
    await context.close()


@asynccontextmanager
async def log_events(url: str, figures: Figures) -> AsyncIterator[None]:
    """Logs events at a steady rate until the block ends."""
    headers = {"Authorization": f"Bearer {KEY}"}

    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:

        async def log(number: int) -> None:
            severity = ("error", "warn", "info", "success")[number % 4]
            event = {"summary": f"Pump {number} stopped", "severity": severity}
            response = await http.post(
                "/graphql", json={"query": LOG, "variables": {"input": event}}
            )
            response.raise_for_status()
            figures.logged += 1

        async def log_all() -> None:
            begun = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for number in range(10**9):
                    await asyncio.sleep(begun + number / EVENTS_PER_SECOND - time.monotonic())
                    group.create_task(log(number))

        logging = asyncio.create_task(log_all())
        yield
        logging.cancel()
        await asyncio.gather(logging, return_exceptions=True)


async def measure_live_list(page: Page, minutes: float, figures: Figures) -> None:
    session = await page.context.new_cdp_session(page)
    await show_new_events(page, WARM_UP_SECONDS)
    begun = time.monotonic()
    while time.monotonic() - begun < 60 * minutes:
        figures.note_load()
        figures.busy_frames += await page.evaluate(COUNT_FRAMES, SHOW_SECONDS)
        figures.heaps.append(await read_heap(session))
        await show_new_events(page, 0)


async def show_new_events(page: Page, seconds: float) -> None:
    """Shows the new events as a reader does, after a while."""
    await asyncio.sleep(seconds)
    await page.get_by_role("button", name="new event").click()


async def read_heap(session: CDPSession) -> int:
    """Returns the bytes of all JavaScript objects that are in use."""
    await session.send("HeapProfiler.collectGarbage")
    return int((await session.send("Runtime.getHeapUsage"))["usedSize"])


def describe(figures: Figures, minutes: float) -> list[str]:
    painted = sorted(figures.painted_ms)
    quarter = max(1, len(figures.heaps) // 4)
    first, last = (
        statistics.mean(part) / 1e6 for part in (figures.heaps[:quarter], figures.heaps[-quarter:])
    )
    return [
        "| what | measured |",
        "|---|---|",
        f"| first paint of the list, {EVENTS:,} events, empty cache, {RUNS} times | "
        f"{statistics.median(painted):,.0f} ms (median), {painted[-1]:,.0f} ms (slowest) |",
        f"| scripts of the first page | {figures.script_bytes / 1e3:,.0f} kB (gzip) |",
        f"| frames per second, at rest | {per_second(figures.idle_frames):.1f} |",
        f"| frames per second, {EVENTS_PER_SECOND} events per second | "
        f"{per_second(figures.busy_frames):.1f}; 99% of the frames take at most "
        f"{quantile(figures.busy_frames, 0.99):.0f} ms |",
        f"| memory of JavaScript, {figures.logged:,} events in {minutes:g} minutes | "
        f"{first:.1f} MB in the first quarter, {last:.1f} MB in the last |",
        "",
        f"Measured on {describe_machine(figures.loads)}",
    ]


def per_second(lengths: list[float]) -> float:
    return 1000 * len(lengths) / sum(lengths)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3, help="Time with live events.")
    add_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database_url = f"sqlite:///{Path(folder) / 'tocsin.db'}"
        build_data(database_url, KEY, EVENTS)
        with running_server((*TOCSIN, "0"), build_environment(database_url)) as url:
            figures = asyncio.run(measure(url, arguments.minutes))
    publish_figures("figures", describe(figures, arguments.minutes), arguments.into)


if __name__ == "__main__":
    main()
