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
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import structlog

from app import metrics
from app.command_runner import describe_database_error
from app.settings import Settings
from app.telemetry import configure_logs

MAX_SHUTDOWN_SECONDS = 9.5
MIN_UPTIME_SECONDS = 5.0
RESTART_DELAY_SECONDS = 1.0
MAX_RESTART_DELAY_SECONDS = 8.0
MAX_START_ATTEMPTS = 3
_MAX_SIGNALS_READ = 4096

log = structlog.get_logger(__name__)
# Spawned, not forked: workers must not share what the parent has opened.
_spawn_context = multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    """A worker process. `status` receives None when it serves, or the reason why it cannot start.

    `attempt` counts the starts of this worker and of those before it that could not start.
    """

    process: SpawnProcess
    status: Connection
    started_at: float
    attempt: int
    serves: bool = False
    failure: str | None = None

    def read_status(self) -> None:
        with contextlib.suppress(EOFError):
            while self.status.poll():
                self.failure = self.status.recv()
                self.serves = self.failure is None


class WorkerSupervisor:
    """Supervises the workers. `run` returns when all have exited, after SIGTERM or SIGINT.

    It also returns if the workers cannot start, with the reason.
    """

    def __init__(
        self, settings: Settings, listeners: list[socket.socket], worker_count: int
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._worker_count = worker_count
        self._workers: list[_Worker] = []
        self._stopping = False
        self._failure: str | None = None

    def run(self) -> str | None:
        with _open_signal_socket() as signal_socket, metrics.share_between_processes():
            for _ in range(self._worker_count):
                self._start(attempt=1)
            while not self._stopping:
                sentinels = [worker.process.sentinel for worker in self._workers]
                if signal_socket in wait([signal_socket, *sentinels]):
                    self._stopping = True
                else:
                    self._replace_exited(signal_socket)
            self._stop_all(signal_socket)
        return self._failure

    def _start(self, attempt: int) -> None:
        status, worker_status = _spawn_context.Pipe(duplex=False)
        arguments = (self._settings, self._listeners, worker_status)
        process = _spawn_context.Process(target=run_worker, args=arguments)
        process.daemon = True  # terminated with this process if it crashes
        # Ctrl-C reaches all processes: a starting worker would exit with a traceback.
        previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.start()
        signal.signal(signal.SIGINT, previous_handler)
        worker_status.close()
        self._workers.append(_Worker(process, status, time.monotonic(), attempt))

    def _replace_exited(self, signal_socket: socket.socket) -> None:
        for worker in [each for each in self._workers if not each.process.is_alive()]:
            self._remove(worker)
            if not worker.serves and self._has_failed(worker):
                self._failure = (
                    f"The workers cannot start. {worker.failure or 'See the server logs above.'}"
                )
                self._stopping = True
                return
            delay = 0.0
            if not worker.serves:
                delay = RESTART_DELAY_SECONDS * 2 ** (worker.attempt - 1)
            elif time.monotonic() - worker.started_at < MIN_UPTIME_SECONDS:
                delay = RESTART_DELAY_SECONDS
            log.warning(
                "worker_replaced",
                worker=worker.process.pid,
                exit_code=worker.process.exitcode,
                reason=worker.failure,
            )
            wait([signal_socket], min(delay, MAX_RESTART_DELAY_SECONDS))
            self._start(attempt=1 if worker.serves else worker.attempt + 1)

    def _remove(self, worker: _Worker) -> None:
        worker.read_status()
        worker.status.close()
        self._workers.remove(worker)
        metrics.mark_process_dead(worker.process.pid or 0)

    def _has_failed(self, worker: _Worker) -> bool:
        """Whether the worker was the last attempt, and no other worker serves."""
        for each in self._workers:
            each.read_status()
        return worker.attempt >= MAX_START_ATTEMPTS and not any(
            each.serves for each in self._workers
        )

    def _stop_all(self, signal_socket: socket.socket) -> None:
        """Lets the workers drain, and kills them after a timeout or a second Ctrl-C."""
        for listener in self._listeners:
            listener.close()  # otherwise connections would be accepted but not served
        processes = [worker.process for worker in self._workers]
        for process in processes:
            process.terminate()
        if self._failure is None:
            signal_socket.recv(_MAX_SIGNALS_READ)
        deadline = time.monotonic() + self._settings.drain_seconds + MAX_SHUTDOWN_SECONDS
        while running := [process for process in processes if process.is_alive()]:
            timeout = max(0.0, deadline - time.monotonic())
            ready = wait([signal_socket, *(process.sentinel for process in running)], timeout)
            if not ready or (
                signal_socket in ready and signal.SIGINT in signal_socket.recv(_MAX_SIGNALS_READ)
            ):
                log.warning("workers_killed", workers=[process.pid for process in running])
                for process in running:
                    process.kill()
                break
        for process in processes:
            process.join()


def run_worker(settings: Settings, listeners: list[socket.socket], status: Connection) -> None:
    """Runs a worker in its own process. Sends None when it serves, or why it cannot start."""
    # Imported here: the supervisor itself does not need the server.
    from app.serving.server import run_server

    configure_logs()
    structlog.contextvars.bind_contextvars(worker=os.getpid())
    threading.Thread(target=_exit_with_parent, args=(settings,), daemon=True).start()
    try:
        run_server(settings, listeners, on_started=lambda: status.send(None))
    except Exception as error:
        description = describe_database_error(settings, error)
        if description is None:
            status.send(f"Internal error: {error!r}.")
            raise
        status.send(description)
        sys.exit(1)


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
