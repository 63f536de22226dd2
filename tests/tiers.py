"""Which tests `make test` runs, and which run in `make check` only.

The folder of a test decides, or its file if the test takes long. `make test` runs one tier
(`pytest --tier=test`), `make check` both.
"""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
TEST = "test"
CHECK = "check"
TIERS = {
    TEST: {
        "configuration",
        "contract",
        "domain",
        "graphql",
        "http",
        "plans",
        "seeds",
        "services",
        "store",
    },
    # These are slow, or need Node or a browser.
    CHECK: {
        "archives",
        "audits",
        "benchmarks",
        "browser",
        "clients",
        "cloudevents",
        "concurrency",
        "deploy",
        "faults",
        "fuzz",
        "manners",
        "packages",
        "parity",
        "sockets",
    },
}

# Files of the first tier's folders that run in the other one: their tests start processes, wait for
# background tasks, fill large databases, or try many random examples.
LONG = {
    "configuration/test_applying.py",
    "configuration/test_convergence.py",
    "contract/test_docs.py",
    "domain/test_comparisons.py",
    "domain/test_duplicates.py",
    "graphql/test_apprise_channels.py",
    "graphql/test_channel_positions.py",
    "graphql/test_counts_in_time_zones.py",
    "graphql/test_deleting.py",
    "graphql/test_deliveries.py",
    "graphql/test_duplication_rule_positions.py",
    "graphql/test_nested_fields.py",
    "http/test_command.py",
    "http/test_command_imports.py",
    "http/test_keys_command.py",
    "http/test_log_and_tail.py",
    "http/test_pooler.py",
    "http/test_probes.py",
    "http/test_prune_command.py",
    "http/test_request_bodies.py",
    "http/test_rolling_upgrade.py",
    "http/test_settings.py",
    "http/test_settings_file.py",
    "http/test_sources.py",
    "http/test_tls.py",
    "http/test_workers.py",
    "plans/test_any_query.py",
    "plans/test_equality.py",
    "plans/test_mutations.py",
    "plans/test_transports.py",
    "plans/test_two_processes.py",
    "services/test_correlations.py",
    "services/test_counted_duplicates.py",
    "services/test_event_type_commands.py",
    "services/test_readers.py",
    "store/test_agreement.py",
    "store/test_equal_values_upgrade.py",
    "store/test_event_counts.py",
    "store/test_fill_versions.py",
    "store/test_indexes.py",
    "store/test_postgresql_connections.py",
    "store/test_rollback.py",
    "store/test_search_index.py",
}


def tiers_of(file: Path) -> list[str]:
    """The tiers of a test file: exactly one, unless its folder is missing above."""
    path = file.relative_to(TESTS)
    if path.as_posix() in LONG:
        return [CHECK]
    return [tier for tier, folders in TIERS.items() if path.parts[0] in folders]
