// The rows of the event list. A row is rendered again only if its event changes.

import { Checkbox, Group, Table, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { memo, type ReactNode } from "react";
import { Link } from "react-router";
import type { EventRowFragment, EventRowWithFieldsFragment, Severity } from "../../api/generated";
import { SeverityLabel } from "../../common/severity";
import { Time } from "../../common/time";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";
import { COLUMNS, type Column, useColumns } from "./columns";
import classes from "./EventTable.module.css";

const t = texts.events;

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
  type: (row) => row.type,
  entity: (row) => row.entity && `${row.entity.type} ${row.entity.entityId}`,
  source: (row) => row.source,
  tags: (row) => row.tags.join(", "),
  occurrences: (row) => row.occurrences,
  status: (row) =>
    row.status && (
      <span title={row.status === "RESOLVED" ? texts.bell.resolvedBy(row.resolvedBy) : undefined}>
        {texts.statuses[row.status]}
      </span>
    ),
  acknowledged: (row) =>
    row.acknowledged && <span title={row.acknowledgedAt ?? undefined}>{row.acknowledgedBy}</span>,
};

export const EventTable = memo(function EventTable({ rows, selected, onSelect, onSelectAll }: Props) {
  const [columns] = useColumns();
  const isNarrow = useMediaQuery("(max-width: 48em)");
  const shown = isNarrow
    ? (["summary"] as Column[])
    : COLUMNS.filter((column) => column === "summary" || columns.shown.includes(column));
  const fields = isNarrow ? [] : columns.fields;
  const selectedCount = rows.filter(({ id }) => selected.has(id)).length;

  return (
    <Table className={classes.table} verticalSpacing={6}>
      <caption className={classes.hidden}>{t.title}</caption>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w={40}>
            <Checkbox
              aria-label={t.selectAll}
              checked={selectedCount > 0 && selectedCount === rows.length}
              indeterminate={selectedCount > 0 && selectedCount < rows.length}
              onChange={({ currentTarget }) => onSelectAll(currentTarget.checked)}
            />
          </Table.Th>
          {shown.map((column) => (
            <Table.Th key={column} className={classes[column]}>
              {t.columns[column]}
            </Table.Th>
          ))}
          {fields.map((field) => (
            <Table.Th key={field}>{field}</Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <EventRow
            key={row.id}
            row={row}
            shown={shown.join()}
            fields={fields.join()}
            isNarrow={isNarrow ?? false}
            isSelected={selected.has(row.id)}
            onSelect={onSelect}
          />
        ))}
      </Table.Tbody>
    </Table>
  );
});

interface RowProps {
  row: Row;
  shown: string;
  fields: string;
  isNarrow: boolean;
  isSelected: boolean;
  onSelect: Props["onSelect"];
}

const EventRow = memo(function EventRow({ row, shown, fields, isNarrow, isSelected, onSelect }: RowProps) {
  const summary = (
    <>
      <Link to={`/events/${row.id}`} className={classes.link} data-event={row.id}>
        {row.summary}
      </Link>
      {isNarrow && (
        <Group gap="xs">
          <SeverityLabel severity={row.severity} />
          <Text size="sm" c="dimmed">
            <Time at={row.occurredAt} />
          </Text>
        </Group>
      )}
    </>
  );
  return (
    <Table.Tr data-handled={row.acknowledged || row.resolvedAt !== null || undefined} className={classes.row}>
      <Table.Td>
        <Checkbox
          aria-label={t.select(row.summary)}
          checked={isSelected}
          onChange={({ currentTarget }) => onSelect(row.id, currentTarget.checked)}
        />
      </Table.Td>
      {(shown.split(",") as Column[]).map((column) => (
        <Table.Td key={column} className={classes[column]}>
          {column === "summary" ? summary : CELLS[column](row)}
        </Table.Td>
      ))}
      {fields
        .split(",")
        .filter(Boolean)
        .map((name) => {
          const field = row.fieldValues?.find((each) => each.name === name);
          return <Table.Td key={name}>{field && formatValue(field.value, field.unit)}</Table.Td>;
        })}
    </Table.Tr>
  );
});
