// Conditional rules in words, and the operators and values of their predicates.

import type { FieldKind, PredicateOperator } from "../../api/generated";
import { formatValue } from "../../common/values";
import { texts } from "../../texts";
import { type Condition, type FieldDraft, isChoice, isNumeric, isText, type Predicate, type RuleDraft } from "./draft";

const t = texts.eventTypes;

type Labels = (name: string) => string;

export function labelsOf(fields: readonly FieldDraft[]): Labels {
  const labels = new Map(fields.map(({ name, label }) => [name, label || name]));
  return (name) => labels.get(name) ?? name;
}

/** A rule as a sentence, such as "Show Duration when Volume >= 100". */
export function describeRule(rule: RuleDraft, fields: readonly FieldDraft[]): string {
  const labels = labelsOf(fields);
  const targets = rule.targets.map(labels).join(", ") || t.noField;
  return t.ruleInWords(t.effects[rule.effect], targets, describeCondition(rule.condition, labels));
}

export function describeCondition(condition: Condition, labels: Labels, isNested = false): string {
  if ("field" in condition) return describePredicate(condition.field, labels);
  if ("not" in condition) return t.not(describeCondition(condition.not, labels, true));
  const [operands, word, empty] =
    "all" in condition ? [condition.all, t.and, t.always] : [condition.any, t.or, t.never];
  if (operands.length === 0) return empty;
  const parts = operands.map((each) => describeCondition(each, labels, operands.length > 1));
  const text = parts.join(` ${word} `);
  return isNested && operands.length > 1 ? `(${text})` : text;
}

function describePredicate({ field, operator, value }: Predicate, labels: Labels): string {
  const words = t.operators[operator];
  return operator === "EXISTS" || operator === "NOT_EXISTS"
    ? `${labels(field)} ${words}`
    : `${labels(field)} ${words} ${formatValue(value) || "…"}`;
}

const PRESENCE: readonly PredicateOperator[] = ["EXISTS", "NOT_EXISTS"];
const EQUALITY: readonly PredicateOperator[] = ["EQ", "NE", "IN"];
const ORDER: readonly PredicateOperator[] = ["GT", "GTE", "LT", "LTE"];

/** The operators that the server supports for a kind. */
export function operatorsOf(kind: FieldKind | undefined): readonly PredicateOperator[] {
  if (kind === undefined) return PRESENCE;
  if (isNumeric(kind) || kind === "DATE") return [...EQUALITY, ...ORDER, ...PRESENCE];
  // An instant has several notations, so it has no equality.
  if (kind === "DATETIME") return [...ORDER, ...PRESENCE];
  if (kind === "MULTI_SELECT") return ["CONTAINS", ...PRESENCE];
  return isText(kind) ? [...EQUALITY, "CONTAINS", ...PRESENCE] : [...EQUALITY, ...PRESENCE];
}

/** The value of a predicate that was entered as text. */
export function parseValue(text: string, kind: FieldKind, operator: PredicateOperator): unknown {
  const parse = (part: string): unknown => {
    if (kind === "BOOLEAN") return part === "true";
    if (!isNumeric(kind)) return part;
    return part !== "" && Number.isFinite(Number(part)) ? Number(part) : part;
  };
  if (operator !== "IN") return parse(text);
  return text
    .split(",")
    .map((part) => parse(part.trim()))
    .filter((part) => part !== "");
}

export const writeValue = (value: unknown): string =>
  Array.isArray(value) ? value.join(", ") : value === undefined || value === null ? "" : String(value);

/** The first operand of a condition that the builder can show: predicates joined by one word. */
export function readSimple(condition: Condition): { join: "all" | "any"; predicates: Predicate[] } | null {
  if ("field" in condition) return { join: "all", predicates: [condition.field] };
  if ("not" in condition) return null;
  const join = "all" in condition ? "all" : "any";
  const operands = "all" in condition ? condition.all : condition.any;
  const predicates = operands.flatMap((each) => ("field" in each ? [each.field] : []));
  return predicates.length === operands.length ? { join, predicates } : null;
}

export const hasOptions = (field: FieldDraft | undefined): field is FieldDraft =>
  field !== undefined && isChoice(field.kind);
