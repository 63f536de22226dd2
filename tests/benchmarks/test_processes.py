"""Reading from the processes that benchmarks and fault tests start never blocks indefinitely."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.processes import LineReader, ProcessError


@contextmanager
def read_lines(program: str) -> Iterator[LineReader]:
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        lines = LineReader(process, errors)
        try:
            yield lines
        finally:
            lines.close()


def test_lines_are_read_in_order() -> None:
    with read_lines("print('first'); print('second')") as lines:
        assert [lines.read(), lines.read()] == ["first\n", "second\n"]


def test_a_process_that_has_ended_is_reported_with_its_exit_status_and_stderr() -> None:
    with (
        read_lines("import sys; print('first'); sys.exit('out of memory')") as lines,
        pytest.raises(ProcessError, match=r"ended with exit status 1\.\nout of memory"),
    ):
        lines.read()
        lines.read()


def test_a_process_that_prints_nothing_is_reported_after_the_deadline() -> None:
    with (
        read_lines("import time; time.sleep(600)") as lines,
        pytest.raises(ProcessError, match=r"printed nothing for 0\.1 s"),
    ):
        lines.read(0.1)
