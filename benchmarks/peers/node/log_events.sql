-- Functions for mercurius, and for PostGraphile, whose schema has them as mutations: they write the rows
-- that Tocsin writes for new events of registered types with flat fields. A report whose source ID is
-- known results in its first event. They check no fields. ORGANIZATION is replaced by the ID of the organization of the events.
CREATE OR REPLACE FUNCTION log_events(reports jsonb) RETURNS SETOF event
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH report AS MATERIALIZED (
    SELECT number, uuidv7() AS id, body, body->>'type' AS type, body->>'severity' AS severity,
      body->>'summary' AS summary, body->>'source' AS source, body->>'sourceId' AS source_id,
      body->'fields' AS fields, body->'tags' AS tags
    FROM jsonb_array_elements(reports) WITH ORDINALITY AS sent (body, number)
  ),
  claimed AS (
    INSERT INTO receipt (organization_id, source, source_id, digest, event_id, version)
    SELECT ORGANIZATION, source, source_id, encode(sha256(convert_to(body::text, 'UTF8')), 'hex'), id, 2
    FROM report ORDER BY source, source_id
    ON CONFLICT DO NOTHING RETURNING receipt.event_id
  ),
  accepted AS MATERIALIZED (
    SELECT report.*, event_type.id AS event_type_id, event_type.version AS event_type_version,
      event_type.category
    FROM report JOIN claimed ON claimed.event_id = report.id
    JOIN event_type ON event_type.organization_id = ORGANIZATION AND event_type.type = report.type
  ),
  logged AS (
    INSERT INTO event (organization_id, id, type, event_type_id, event_type_version, category,
      severity, severity_text, summary, summary_given, source, source_id, occurred_at, recorded_at,
      updated_at, fields, tags, occurrences, notification, version)
    SELECT ORGANIZATION, id, type, event_type_id, event_type_version, category, upper(severity),
      severity, summary, true, source, source_id, now(), now(), now(), fields, tags, 1, false, 1
    FROM accepted ORDER BY number
    RETURNING event.*
  ),
  entries AS (
    INSERT INTO change (organization_id, subject, subject_id, kind, at, actor, notifies, changes,
      state)
    SELECT ORGANIZATION, 'event', id, 'LOGGED', occurred_at, 'ACTOR', false, '{}',
      json_build_object('id', id, 'type', type, 'severity', severity, 'summary', summary,
        'source', source, 'occurredAt', instant, 'recordedAt', instant, 'updatedAt', instant,
        'eventTypeId', event_type_id, 'eventTypeVersion', event_type_version,
        'category', category, 'entity', entity_id, 'content', content, 'sourceId', source_id,
        'subject', subject, 'outcome', outcome, 'fields', fields, 'tags', tags,
        'duplicateOfId', duplicate_of_id, 'occurrences', occurrences,
        'lastOccurredAt', last_occurred_at, 'notification', notification,
        'acknowledgedAt', acknowledged_at, 'acknowledgedBy', acknowledged_by,
        'acknowledgementNote', acknowledgement_note, 'alertKey', alert_key,
        'resolvedAt', resolved_at, 'resolvedBy', resolved_by, 'resolutionNote', resolution_note,
        'silencedById', silenced_by_id, 'version', version, 'severityText', severity_text,
        'summaryGiven', summary_given, 'extensions', extensions, 'payload', payload)
    FROM logged CROSS JOIN (
      SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS instant
    ) AS times
  ),
  tagged AS (
    INSERT INTO event_tag (organization_id, event_id, tag)
    SELECT ORGANIZATION, id, tag FROM accepted, jsonb_array_elements_text(tags) AS tag
  ),
  found_by AS (
    INSERT INTO event_words (organization_id, event_id, words, version)
    SELECT ORGANIZATION, id, array_to_tsvector(array_append(
      ARRAY(SELECT DISTINCT match[1] FROM regexp_matches(lower(summary), '[[:alnum:]]+', 'g') AS match),
      'MARK')), 2
    FROM accepted ORDER BY number
  ),
  valued AS (
    INSERT INTO event_value (organization_id, event_id, field, ordinal, number, head, tail, truth)
    SELECT ORGANIZATION, id, key, 0,
      CASE jsonb_typeof(value) WHEN 'number' THEN (value #>> '{}')::double precision END,
      CASE jsonb_typeof(value) WHEN 'string' THEN left(value #>> '{}', 200) END,
      CASE jsonb_typeof(value) WHEN 'string' THEN substr(value #>> '{}', 201) END,
      CASE jsonb_typeof(value) WHEN 'boolean' THEN value::boolean END
    FROM accepted, jsonb_each(fields)
  )
  SELECT * FROM logged
  UNION ALL
  SELECT event.* FROM report
  JOIN receipt ON receipt.organization_id = ORGANIZATION AND receipt.source = report.source
    AND receipt.source_id = report.source_id
  JOIN event ON event.id = receipt.event_id
  WHERE report.id NOT IN (SELECT event_id FROM claimed);
END $$;

CREATE OR REPLACE FUNCTION log_event(report jsonb) RETURNS event LANGUAGE sql VOLATILE AS
$$ SELECT * FROM log_events(jsonb_build_array(report)) $$;
