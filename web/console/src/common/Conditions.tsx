// The conditions of a filter, in words.

import { Badge, Group } from "@mantine/core";
import { useApi } from "../api/client";
import type { EventFilter, TimeRange } from "../api/generated";
import { useEventTypes } from "../api/pages";
import { texts } from "../texts";
import { formatAbsolute, useTimePreferences } from "./time";
import { formatValue } from "./values";

const t = texts.filter;

type Attribute = Exclude<keyof EventFilter, "fields" | "and" | "or" | "not" | "tags" | "entity">;
type Describe = (filter: EventFilter) => string[];

export interface LabeledField {
  name: string;
  label: string;
  unit?: string | null;
}

const WORDS: Partial<Record<Attribute, Record<string, string>>> = {
  severities: texts.severities,
  statuses: texts.statuses,
  outcome: texts.event.outcomes,
  missing: t.missing,
};

export function Conditions({ filter }: { filter: EventFilter }) {
  const { can } = useApi();
  const [{ isUtc }] = useTimePreferences();
  const types = useEventTypes(JSON.stringify(filter).includes('"field":') && can("EVENT_READ"));
  const fields = types.flatMap((type) => type.fields);
  return (
    <Group gap={4}>
      {describeFilter(filter, fields, isUtc).map((words) => (
        <Badge key={words} variant="default" tt="none" fw={500} h="auto" styles={{ label: { whiteSpace: "normal" } }}>
          {words}
        </Badge>
      ))}
    </Group>
  );
}

/** Returns the conditions, all of which must hold. */
export function describeFilter(filter: EventFilter, fields: readonly LabeledField[], isUtc: boolean): string[] {
  const describePart: Describe = (part) => describeFilter(part, fields, isUtc);
  const join = (parts: readonly EventFilter[], word: string): string =>
    parts.map((part) => describePart(part).join(t.and)).map((words) => `(${words})`).join(word);
  const { fields: predicates, and, or, not, tags, entity, ...attributes } = filter;
  const presentAttributes = Object.entries(attributes).filter(([, value]) => value !== null && value !== undefined);
  return [
    ...presentAttributes.map(([name, value]) => `${t.names[name as Attribute]}: ${formatOperand(name as Attribute, value, isUtc)}`),
    ...(entity ? [`${t.names.entity}: ${entity.type} ${entity.id}`] : []),
    ...(tags?.all ?? []).map((tag) => `${t.names.tags}: ${tag}`),
    ...(tags?.any ? [`${t.names.tags}: ${tags.any.join(t.or)}`] : []),
    ...(predicates ?? []).map(({ field, operator, value }) => {
      const definition = fields.find(({ name }) => name === field);
      const values = Array.isArray(value) ? value : [value];
      const operand = operator.endsWith("EXISTS") ? "" : values.map((each) => formatValue(each, definition?.unit)).join(t.or);
      return `${definition?.label ?? field} ${t.operators[operator]} ${operand}`.trim();
    }),
    ...(and ?? []).flatMap(describePart),
    ...(or ? [join(or, t.or)] : []),
    ...(not ? [t.not(describePart(not).join(t.and))] : []),
  ];
}

function formatOperand(name: Attribute, value: unknown, isUtc: boolean): string {
  if (Array.isArray(value)) return value.map((each) => formatOperand(name, each, isUtc)).join(t.or);
  if (typeof value === "object") {
    const { from, to } = value as TimeRange;
    const [begin, end] = [from, to].map((time) => (time ? formatAbsolute(new Date(String(time)), isUtc) : ""));
    return texts.events.rangeChip(begin!, end!);
  }
  return WORDS[name]?.[String(value)] ?? formatValue(value);
}
