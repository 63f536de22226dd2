// The rows of the event list. A row is rendered again only if its event changes. Rows consist of plain
// elements, which take less than half the time of Mantine's.

import { Group, Table, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { memo, type ReactNode, useDeferredValue } from "react";
import { Link } from "react-router";
import type { EventRowFragment, EventRowWithFieldsFragment, Severity } from "../../api/generated";
import { Name } from "../../common/Name";
import { SeverityLabel } from "../../common/severity";
import { Time } from "../../common/time";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";
import { COLUMNS, type Column, useColumns } from "./columns";
import classes from "./EventTable.module.css";

const t = texts.events;
/** Enough for a screen: these rows are painted first. */
const FIRST_ROWS = 30;

export type Row = { id: string; severity: Severity; occurredAt: string; lastOccurredAt: string } & EventRowFragment &
  Partial<Pick<EventRowWithFieldsFragment, "fieldValues">>;

interface Props {
  rows: readonly Row[];
  selected: ReadonlySet<string>;
  onSelect: (id: string, isSelected: boolean) => void;
  onSelectAll: (isSelected: boolean) => void;
}

const CELLS: Record<Exclude<Column, "summary">, (row: Row) => ReactNode> = {
  time: (row) => <Time at={row.occurredAt} />,
  severity: (row) => <SeverityLabel severity={row.severity} />,
  type: (row) => <Name text={row.type} />,
  entity: (row) => row.entity && `${row.entity.type} ${row.entity.entityId}`,
  source: (row) => row.source,
  tags: (row) => row.tags.join(", "),
  occurrences: (row) => row.occurrences,
  status: (row) =>
    row.status ? (
      <span title={row.status === "RESOLVED" ? texts.bell.resolvedBy(row.resolvedBy) : undefined}>
        {texts.statuses[row.status]}
      </span>
    ) : (
      <span title={t.noStatus}>–</span>
    ),
  acknowledged: (row) =>
    row.acknowledged && <span title={row.acknowledgedAt ?? undefined}>{row.acknowledgedBy}</span>,
};

/** Columns that every card of a narrow list shows. */
const IN_CARD = new Set<Column>(["summary", "severity", "time"]);

/** Whether a card shows the column. */
function hasValue(row: Row, column: Exclude<Column, "summary">): boolean {
  if (!column) return false; // no column is chosen
  if (column === "occurrences") return row.occurrences > 1;
  if (column === "tags") return row.tags.length > 0;
  return column === "time" || column === "severity" || Boolean(row[column]);
}

export const EventTable = memo(function EventTable({ rows, selected, onSelect, onSelectAll }: Props) {
  const [columns] = useColumns();
  const rowCount = useDeferredValue(Infinity, FIRST_ROWS);
  const isNarrow = useMediaQuery("(max-width: 48em)");
  const chosen = COLUMNS.filter((column) => column === "summary" || columns.shown.includes(column));
  const shown = isNarrow ? (["summary"] as Column[]) : chosen;
  const fields = isNarrow ? [] : columns.fields;
  const labelOf = (field: string) =>
    rows.flatMap((row) => row.fieldValues ?? []).find(({ name }) => name === field)?.label ?? field;
  const selectedCount = rows.filter(({ id }) => selected.has(id)).length;

  return (
    <div className={classes.scroll}>
      <Table className={classes.table} verticalSpacing={6}>
        <caption className={classes.hidden}>{t.title}</caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={40}>
              <input
                type="checkbox"
                className={classes.checkbox}
                aria-label={t.selectAll}
                checked={selectedCount > 0 && selectedCount === rows.length}
                ref={(box) => {
                  if (box) box.indeterminate = selectedCount > 0 && selectedCount < rows.length;
                }}
                onChange={({ currentTarget }) => onSelectAll(currentTarget.checked)}
              />
            </Table.Th>
            {shown.map((column) => (
              <Table.Th key={column} className={classes[column]}>
                {t.columns[column]}
              </Table.Th>
            ))}
            {fields.map((field) => (
              <Table.Th key={field} className={classes.field}>
                {labelOf(field)}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.slice(0, rowCount).map((row) => (
            <EventRow
              key={row.id}
              row={row}
              shown={shown.join()}
              fields={fields.join()}
              below={isNarrow ? chosen.filter((column) => !IN_CARD.has(column)).join() : null}
              fieldsBelow={isNarrow ? columns.fields.join() : ""}
              isSelected={selected.has(row.id)}
              onSelect={onSelect}
            />
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
});

interface RowProps {
  row: Row;
  shown: string;
  fields: string;
  /** Columns that are shown below the summary. Null if the table is wide enough for all. */
  below: string | null;
  fieldsBelow: string;
  isSelected: boolean;
  onSelect: Props["onSelect"];
}

const EventRow = memo(function EventRow({ row, shown, fields, below, fieldsBelow, isSelected, onSelect }: RowProps) {
  const summary = (
    <>
      <Link to={`/events/${row.id}`} className={classes.link} data-event={row.id}>
        {row.summary}
      </Link>
      {below !== null && (
        <Group gap="0.125rem 0.625rem">
          <SeverityLabel severity={row.severity} />
          <Text size="sm" c="dimmed">
            <Time at={row.occurredAt} />
          </Text>
          {(below.split(",") as Exclude<Column, "summary">[])
            .filter((column) => hasValue(row, column))
            .map((column) => (
              <Text key={column} size="sm" c="dimmed" className={classes.below}>
                {t.columns[column]}: {CELLS[column](row)}
              </Text>
            ))}
          {fieldsBelow
            .split(",")
            .map((name) => row.fieldValues?.find((each) => each.name === name))
            .filter((field) => field !== undefined)
            .map(({ name, label, value, unit }) => (
              <Text key={name} size="sm" c="dimmed" className={classes.below}>
                {label}: {formatValue(value, unit)}
              </Text>
            ))}
        </Group>
      )}
    </>
  );
  return (
    <tr data-handled={row.acknowledged || row.resolvedAt !== null || undefined} className={classes.row}>
      <td>
        <input
          type="checkbox"
          className={classes.checkbox}
          aria-label={t.select(row.summary)}
          checked={isSelected}
          onChange={({ currentTarget }) => onSelect(row.id, currentTarget.checked)}
        />
      </td>
      {(shown.split(",") as Column[]).map((column) => (
        <td key={column} className={classes[column]}>
          {column === "summary" ? summary : CELLS[column](row)}
        </td>
      ))}
      {fields
        .split(",")
        .filter(Boolean)
        .map((name) => {
          const field = row.fieldValues?.find((each) => each.name === name);
          return (
            <td key={name} className={classes.field}>
              {field && formatValue(field.value, field.unit)}
            </td>
          );
        })}
    </tr>
  );
});
