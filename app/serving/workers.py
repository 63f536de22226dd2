"""Several worker processes on one port, and the supervisor that starts, replaces and stops them.

uvicorn's own supervisor is not used: it waits without limit for a worker that does not exit, its
workers outlive a killed parent, and it kills a worker whose loop was busy for five seconds.
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

MAX_SHUTDOWN_SECONDS = 9.5
MIN_UPTIME_SECONDS = 5.0
RESTART_DELAY_SECONDS = 1.0
_MAX_SIGNALS_READ = 4096

log = structlog.get_logger(__name__)
# Spawned, not forked: workers must not share what the parent has opened.
_spawn_context = multiprocessing.get_context("spawn")


class WorkerSupervisor:
    """Supervises the workers. `run` returns after SIGTERM or SIGINT, when all have exited."""

    def __init__(self, settings: Settings, listener: socket.socket, worker_count: int) -> None:
        self._settings = settings
        self._listener = listener
        self._worker_count = worker_count
        self._start_times: dict[SpawnProcess, float] = {}
        self._stopping = False

    def run(self) -> None:
        with _open_signal_socket() as signal_socket, metrics.share_between_processes():
            for _ in range(self._worker_count):
                self._start()
            while not self._stopping:
                ready = wait([signal_socket, *(worker.sentinel for worker in self._start_times)])
                if signal_socket in ready:
                    self._stopping = True
                else:
                    self._replace_exited(signal_socket)
            self._stop_all(signal_socket)

    def _start(self) -> None:
        worker = _spawn_context.Process(target=run_worker, args=(self._settings, self._listener))
        worker.daemon = True  # terminated with this process if it crashes
        # Ctrl-C reaches all processes: a starting worker would exit with a traceback.
        previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        worker.start()
        signal.signal(signal.SIGINT, previous_handler)
        self._start_times[worker] = time.monotonic()

    def _replace_exited(self, signal_socket: socket.socket) -> None:
        for worker, started_at in list(self._start_times.items()):
            if worker.is_alive():
                continue
            del self._start_times[worker]
            log.warning("worker_replaced", worker=worker.pid, exit_code=worker.exitcode)
            metrics.mark_process_dead(worker.pid or 0)
            if time.monotonic() - started_at < MIN_UPTIME_SECONDS:
                # It may have failed to start: restarts are delayed.
                wait([signal_socket], RESTART_DELAY_SECONDS)
            self._start()

    def _stop_all(self, signal_socket: socket.socket) -> None:
        """Lets the workers drain, and kills them after a timeout or a second Ctrl-C."""
        self._listener.close()  # otherwise connections would be accepted but not served
        for worker in self._start_times:
            worker.terminate()
        signal_socket.recv(_MAX_SIGNALS_READ)
        deadline = time.monotonic() + self._settings.drain_seconds + MAX_SHUTDOWN_SECONDS
        while running := [worker for worker in self._start_times if worker.is_alive()]:
            timeout = max(0.0, deadline - time.monotonic())
            ready = wait([signal_socket, *(worker.sentinel for worker in running)], timeout)
            if not ready or (
                signal_socket in ready and signal.SIGINT in signal_socket.recv(_MAX_SIGNALS_READ)
            ):
                log.warning("workers_killed", workers=[worker.pid for worker in running])
                for worker in running:
                    worker.kill()
                break
        for worker in self._start_times:
            worker.join()


def run_worker(settings: Settings, listener: socket.socket) -> None:
    """Runs a worker in its own process."""
    # Imported here: the supervisor itself does not need the server.
    from app.serving.server import run_server

    configure_logs()
    structlog.contextvars.bind_contextvars(worker=os.getpid())
    threading.Thread(target=_exit_with_parent, args=(settings,), daemon=True).start()
    run_server(settings, listener)


def _exit_with_parent(settings: Settings) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        settings.drain_seconds = 0  # a new parent could not bind the port meanwhile
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _open_signal_socket() -> Iterator[socket.socket]:
    """Yields a socket that is readable when SIGTERM or SIGINT was received."""
    reading, writing = socket.socketpair()
    with reading, writing:
        writing.setblocking(False)
        previous_fd = signal.set_wakeup_fd(writing.fileno())
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, lambda *_: None)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(previous_fd)
