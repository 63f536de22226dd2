"""Several server processes at one address. Their parent serves nothing: it starts them, replaces
those that die, and ends them together.

Why not uvicorn's own supervisor: it waits for ever for a worker that does not end, its workers
outlive a parent that was killed, and it kills a worker whose loop was busy for five seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

import structlog

from app import metrics
from app.settings import Settings
from app.telemetry import configure_logs

LONGEST_DRAIN_SECONDS = 9.5
SHORT_LIFE_SECONDS = 5.0
PAUSE_SECONDS = 1.0
_SIGNALS_AT_ONCE = 4096

log = structlog.get_logger(__name__)
# Forked, they would share what the parent has opened; spawned, they read the environment anew.
_processes = multiprocessing.get_context("spawn")


class Workers:
    """`run` returns when all of them have ended, after SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, listening: socket.socket, number: int) -> None:
        self._settings = settings
        self._listening = listening
        self._number = number
        self._running: dict[SpawnProcess, float] = {}
        self._ending = False

    def run(self) -> None:
        with _signals() as rung, metrics.shared_by_processes():
            for _ in range(self._number):
                self._start()
            while not self._ending:
                ended = wait([rung, *(each.sentinel for each in self._running)])
                if rung in ended:
                    self._ending = True
                else:
                    self._replace_the_dead(rung)
            self._end_all(rung)

    def _start(self) -> None:
        worker = _processes.Process(target=serve, args=(self._settings, self._listening))
        worker.daemon = True  # should this process break, they are ended with it
        # Ctrl-C reaches all processes: one that still starts would break off with a traceback.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        worker.start()
        signal.signal(signal.SIGINT, before)
        self._running[worker] = time.monotonic()

    def _replace_the_dead(self, rung: socket.socket) -> None:
        for worker, since in list(self._running.items()):
            if worker.is_alive():
                continue
            del self._running[worker]
            log.warning("worker_replaced", worker=worker.pid, exit_code=worker.exitcode)
            metrics.forget_process(worker.pid or 0)
            if time.monotonic() - since < SHORT_LIFE_SECONDS:
                wait([rung], PAUSE_SECONDS)  # it could not even start: not as fast as it can
            self._start()

    def _end_all(self, rung: socket.socket) -> None:
        """Asks them to drain; kills them after a time, or when Ctrl-C comes twice."""
        self._listening.close()  # or connections would go on coming in, to nobody
        for worker in self._running:
            worker.terminate()
        rung.recv(_SIGNALS_AT_ONCE)
        until = time.monotonic() + LONGEST_DRAIN_SECONDS
        while left := [each for each in self._running if each.is_alive()]:
            patience = max(0.0, until - time.monotonic())
            ended = wait([rung, *(each.sentinel for each in left)], patience)
            if not ended or (rung in ended and signal.SIGINT in rung.recv(_SIGNALS_AT_ONCE)):
                log.warning("workers_killed", workers=[each.pid for each in left])
                for worker in left:
                    worker.kill()
                break
        for worker in self._running:
            worker.join()


def serve(settings: Settings, listening: socket.socket) -> None:
    """A worker, in its own process."""
    # The supervisor, which serves nothing itself, does not import the server.
    from app.serving.server import run

    configure_logs()
    structlog.contextvars.bind_contextvars(worker=os.getpid())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    run(settings, listening)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that can be read as soon as SIGTERM or SIGINT has come."""
    reading, writing = socket.socketpair()
    with reading, writing:
        writing.setblocking(False)
        before = signal.set_wakeup_fd(writing.fileno())
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: None)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(before)
