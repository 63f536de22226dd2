// The view of the event list: its conditions and its order. The query string of the page has the
// view, so that a view can be shared and bookmarked.

import { hashKey } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import type {
  EventFilter,
  EventOrder,
  EventOrderField,
  EventStatus,
  FieldPredicate,
  PredicateOperator,
  Severity,
  SortDirection,
} from "../../api/generated";
import { timeOf, useAddressParameters } from "../../common/address";
import { SEVERITIES } from "../../common/severity";

export const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d"] as const;
export type Range = (typeof RANGES)[number];
export const ORDER_FIELDS: readonly EventOrderField[] = [
  "OCCURRED_AT",
  "RECORDED_AT",
  "LAST_OCCURRED_AT",
  "SEVERITY",
];

export const STATUSES: readonly EventStatus[] = ["OPEN", "ACKNOWLEDGED", "RESOLVED"];

/** Operators of conditions on custom fields. */
export const OPERATORS = ["EQ", "NE", "GT", "GTE", "LT", "LTE", "CONTAINS", "EXISTS", "NOT_EXISTS"] as const;
export type Operator = Extract<PredicateOperator, (typeof OPERATORS)[number]>;
export const hasOperand = (operator: Operator): boolean => !operator.endsWith("EXISTS");

/** A condition on a custom field. `value` is null for operators without an operand. */
export interface FieldCondition {
  field: string;
  operator: Operator;
  value: string | number | boolean | null;
}

export interface View {
  severities: Severity[];
  statuses: EventStatus[];
  types: string[];
  tags: string[];
  fields: FieldCondition[];
  search: string;
  category: string;
  source: string;
  /** ID of an entity, of the type `entityType` if it is not empty. */
  entity: string;
  entityType: string;
  /** ID of a silence. */
  silencedBy: string;
  acknowledged: "" | "true" | "false";
  notification: "" | "true" | "false";
  /** Length of the time before now. Ignored if `from` or `to` is set. */
  range: Range | "";
  from: string;
  to: string;
  orderField: EventOrderField;
  direction: SortDirection;
}

export const ALL: View = {
  severities: [],
  statuses: [],
  types: [],
  tags: [],
  fields: [],
  search: "",
  category: "",
  source: "",
  entity: "",
  entityType: "",
  silencedBy: "",
  acknowledged: "",
  notification: "",
  range: "",
  from: "",
  to: "",
  orderField: "OCCURRED_AT",
  direction: "DESC",
};

const MILLISECONDS = { m: 60_000, h: 3_600_000, d: 86_400_000 };
export const lengthOf = (range: Range): number =>
  Number.parseInt(range) * MILLISECONDS[range.slice(-1) as keyof typeof MILLISECONDS];

const oneOf = <T extends string>(values: readonly T[], text: string | null): T | "" =>
  values.find((value) => value === text) ?? "";

/** A condition in the address: the field, the operator, and the value as JSON. */
const writeField = ({ field, operator, value }: FieldCondition): string =>
  JSON.stringify(hasOperand(operator) ? [field, operator, value] : [field, operator]);

function readField(text: string): FieldCondition | null {
  try {
    const [field, name, value = null] = JSON.parse(text) as unknown[];
    const operator = oneOf(OPERATORS, String(name));
    const isValue = ["string", "number", "boolean"].includes(typeof value);
    if (typeof field !== "string" || !field || !operator || (hasOperand(operator) && !isValue)) return null;
    return { field, operator, value: hasOperand(operator) ? (value as FieldCondition["value"]) : null };
  } catch {
    return null;
  }
}

/** Reads a view. Values that are not valid are ignored, because the address may be edited. */
export function readView(params: URLSearchParams): View {
  return {
    severities: params
      .getAll("severity")
      .map((value) => oneOf(SEVERITIES, value))
      .filter((value) => value !== ""),
    statuses: params
      .getAll("status")
      .map((value) => oneOf(STATUSES, value))
      .filter((value) => value !== ""),
    types: params.getAll("type").filter(Boolean),
    tags: params.getAll("tag").filter(Boolean),
    fields: params
      .getAll("field")
      .map(readField)
      .filter((condition) => condition !== null),
    search: params.get("search") ?? "",
    category: params.get("category") ?? "",
    source: params.get("source") ?? "",
    entity: params.get("entity") ?? "",
    entityType: params.get("entityType") ?? "",
    silencedBy: params.get("silencedBy") ?? "",
    acknowledged: oneOf(["true", "false"], params.get("acknowledged")),
    notification: oneOf(["true", "false"], params.get("notification")),
    range: oneOf(RANGES, params.get("range")),
    from: timeOf(params.get("from")),
    to: timeOf(params.get("to")),
    orderField: oneOf(ORDER_FIELDS, params.get("order")) || ALL.orderField,
    direction: oneOf(["ASC", "DESC"], params.get("direction")) || ALL.direction,
  };
}

export function writeView(view: View): URLSearchParams {
  const params = new URLSearchParams();
  for (const severity of view.severities) params.append("severity", severity);
  for (const status of view.statuses) params.append("status", status);
  for (const type of view.types) params.append("type", type);
  for (const tag of view.tags) params.append("tag", tag);
  for (const condition of view.fields) params.append("field", writeField(condition));
  for (const name of [
    "search",
    "category",
    "source",
    "entity",
    "entityType",
    "silencedBy",
    "acknowledged",
    "notification",
    "range",
    "from",
    "to",
  ] as const) {
    if (view[name]) params.set(name, view[name]);
  }
  if (view.orderField !== ALL.orderField) params.set("order", view.orderField);
  if (view.direction !== ALL.direction) params.set("direction", view.direction);
  return params;
}

/** Returns the filter of the view at a time. */
export function filterOf(view: View, now: number): EventFilter {
  const filter: EventFilter = {};
  if (view.severities.length) filter.severities = view.severities;
  if (view.statuses.length) filter.statuses = view.statuses;
  if (view.types.length) filter.types = view.types;
  if (view.tags.length) filter.tags = { all: view.tags };
  if (view.fields.length) {
    filter.fields = view.fields.map(({ field, operator, value }): FieldPredicate =>
      hasOperand(operator) ? { field, operator, value } : { field, operator },
    );
  }
  if (view.search.trim()) filter.search = view.search;
  if (view.category) filter.category = view.category;
  if (view.source) filter.source = view.source;
  if (view.entity && view.entityType) filter.entity = { type: view.entityType, id: view.entity };
  else if (view.entity) filter.entityId = view.entity;
  if (view.silencedBy) filter.silencedBy = view.silencedBy;
  if (view.acknowledged) filter.acknowledged = view.acknowledged === "true";
  if (view.notification) filter.notification = view.notification === "true";
  if (view.from || view.to) {
    filter.occurredAt = { from: view.from || null, to: view.to || null };
  } else if (view.range) {
    filter.occurredAt = { from: new Date(now - lengthOf(view.range)).toISOString() };
  }
  return filter;
}

/** Returns the view that has this filter. Null if the editor of conditions cannot express it. */
export function viewOf(filter: EventFilter): View | null {
  const fields = (filter.fields ?? []).map(({ field, operator, value }) => ({
    field,
    operator: oneOf(OPERATORS, operator),
    value: (value ?? null) as FieldCondition["value"],
  }));
  const flagOf = (value: boolean | null | undefined) => (value ? "true" : value === false ? "false" : "");
  const view: View = {
    ...ALL,
    severities: filter.severities ?? [],
    statuses: filter.statuses ?? [],
    types: filter.types ?? [],
    tags: filter.tags?.all ?? [],
    fields: fields.filter((condition): condition is FieldCondition => condition.operator !== ""),
    category: filter.category ?? "",
    source: filter.source ?? "",
    entity: filter.entity?.id ?? filter.entityId ?? "",
    entityType: filter.entity?.type ?? "",
    acknowledged: flagOf(filter.acknowledged),
    notification: flagOf(filter.notification),
  };
  return hashKey([filterOf(view, 0)]) === hashKey([filter]) ? view : null;
}

export const orderOf = ({ orderField, direction }: View): EventOrder => ({
  field: orderField,
  direction,
});

/** Whether the view has a condition. */
export const isFiltered = (view: View): boolean =>
  String(writeView({ ...view, orderField: ALL.orderField, direction: ALL.direction })) !== "";

/** The view in the address. A change adds an entry to the history of the browser. */
export function useView(): [View, (changes: Partial<View>) => void] {
  const [parameters, changeParameters] = useAddressParameters();
  const text = String(parameters);
  const view = useMemo(() => readView(new URLSearchParams(text)), [text]);
  const change = useCallback(
    (changes: Partial<View>) => changeParameters((now) => writeView({ ...readView(now), ...changes })),
    [changeParameters],
  );
  return [view, change];
}
