// What was changed, in words: the `changes` of audit entries.

import type { AuditAction, EventFilter } from "../../api/generated";
import { describeFilter, type LabeledField } from "../../common/Conditions";
import { formatDuration } from "../../common/duration";
import { formatAbsolute } from "../../common/time";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";
import { describeCondition } from "../event-types/conditions";
import type { Condition } from "../event-types/draft";

const t = texts.administration;

interface Entry {
  action: AuditAction;
  subjectType: string;
  changes: Record<string, unknown>;
}

/** What the words need besides the entry. */
export interface Names {
  eventTypes: readonly { id: string; name: string; fields: readonly LabeledField[] }[];
  isUtc: boolean;
}

const lookUp = (words: Record<string, string>, name: string): string =>
  Object.hasOwn(words, name) ? words[name]! : name;

/** Words for the values of enums, by the name of the value or, where it has several meanings, with the type of the object. */
const WORDS: Record<string, Record<string, string>> = {
  "ApiKey reason": { EXPIRED: t.expired, REVOKED: t.revoked },
  "Channel kind": texts.channels.kinds,
  "Channel triggers": texts.channels.triggerNames,
  "ConditionalRule effect": texts.eventTypes.effects,
  "DuplicationRule action": texts.rules.actions,
  "EventField kind": texts.eventTypes.kinds,
  "EventType additionalFields": texts.eventTypes.additional,
  "EventType state": texts.eventTypes.states,
  "GuardRule enforcement": texts.rules.enforcements,
  "GuardRule state": texts.rules.states,
  "RetentionPolicy target": texts.retention.targets,
  "Source kind": texts.sources.kinds,
};

const DURATIONS = new Set(["window", "keepFor"]);
const SECRETS = new Set(["address", "headers"]);
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Returns a line for each value, such as "Name: Default → South". */
export function describeChanges({ action, subjectType, changes }: Entry, names: Names): string[] {
  const describe = (label: string, [before, after]: readonly string[]): string[] => {
    if (!before && !after) return [];
    const isWhole = action !== "UPDATED" && !(before && after);
    const values = isWhole ? [before || after] : [before, after].map((value) => value || texts.event.nothing);
    return [`${label}: ${values.join(" → ")}`];
  };
  return Object.entries(changes).flatMap(([name, pair]) => {
    const label = lookUp(t.values, name);
    if (SECRETS.has(name)) return `${label}: ${t.changedSecret}`;
    const values = Array.isArray(pair) && pair.length === 2 ? pair : [null, pair];
    if (name !== "mapping") return describe(label, values.map((value) => format(subjectType, name, value, names)));
    const [before, after] = values.map((value) => (value ?? {}) as Record<string, string | null>) as [
      Record<string, string | null>,
      Record<string, string | null>,
    ];
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .filter((attribute) => (before[attribute] ?? null) !== (after[attribute] ?? null))
      .flatMap((attribute) =>
        describe(t.part(label, lookUp(texts.sources.attributes, attribute)), [
          before[attribute] ?? "",
          after[attribute] ?? "",
        ]),
      );
  });
}

const describePath = (path: string, labelOf: (field: string) => string): string =>
  path.startsWith("fields.") ? labelOf(path.slice("fields.".length)) : lookUp(texts.rules.paths, path);

function format(subjectType: string, name: string, value: unknown, names: Names): string {
  if (value === null || value === undefined) return "";
  const fields = names.eventTypes.flatMap((type) => type.fields);
  const labelOf = (field: string) => fields.find((each) => each.name === field)?.label ?? field;
  if (name === "filter") return describeFilter(value as EventFilter, fields, names.isUtc).join(texts.filter.and);
  if (name === "condition") return describeCondition(value as Condition, labelOf);
  if (name === "fingerprint") return (value as string[]).map((path) => describePath(path, labelOf)).join(", ");
  if (`${subjectType} ${name}` === "ConditionalRule targets") return (value as string[]).map(labelOf).join(", ");
  if (name === "eventTypeId") return names.eventTypes.find(({ id }) => id === value)?.name ?? String(value);
  if (name === "choices") {
    return (value as { value: string; label: string }[])
      .map((choice) => (choice.label === choice.value ? choice.value : `${choice.label} (${choice.value})`))
      .join(", ");
  }
  const words = WORDS[`${subjectType} ${name}`];
  if (words) return [value].flat().map((each) => lookUp(words, String(each))).join(", ");
  if (name === "position") return formatValue(Number(value) + 1);
  if (typeof value !== "string") return formatValue(value);
  if (DURATIONS.has(name)) return formatDuration(value);
  return INSTANT.test(value) ? formatAbsolute(new Date(value), names.isUtc) : value;
}
