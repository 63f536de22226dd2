"""A function for the timeline of PostgreSQL's write-ahead log, which some services do not tell."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A standby writes no log. Amazon Aurora refuses with object_not_in_prerequisite_state.
LOG_TIMELINE = """
CREATE OR REPLACE FUNCTION log_timeline() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN '';
    END IF;
    RETURN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
EXCEPTION
    WHEN insufficient_privilege OR feature_not_supported OR undefined_function
        OR object_not_in_prerequisite_state THEN
        RETURN '';
END
$$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(LOG_TIMELINE)
