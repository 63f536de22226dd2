"""The table of `make bench-scale-out` says where a load saturates the machine."""

from __future__ import annotations

from benchmarks.scale_out import ScaleMeasurement, format_load


def test_the_smallest_number_of_servers_with_nearly_the_highest_rate_saturates_the_machine() -> (
    None
):
    busy = {"servers": 0.5, "PostgreSQL": 0.1, "clients": 0.15, "idle": 0.25}
    full = {"servers": 0.6, "PostgreSQL": 0.2, "clients": 0.18, "idle": 0.02}
    measurements = [
        ScaleMeasurement(1000, 20.4, busy),
        ScaleMeasurement(1480, 30, full),
        ScaleMeasurement(1500, 40, full),
    ]

    lines = format_load("reads", measurements)

    assert lines[2:5] == [
        "| 1 | 1,000 | 1.00 | 20 | 50% | 10% | 15% | 25% |",
        "| 2 | 1,480 | 1.48 | 30 | 60% | 20% | 18% | 2% |",
        "| 3 | 1,500 | 1.50 | 40 | 60% | 20% | 18% | 2% |",
    ]
    assert lines[-1] == (
        "95% of the highest rate is reached with 2 servers. At this point, the CPU time is used "
        "by: servers 60%, PostgreSQL 20%, clients 18%; 2% is idle."
    )
