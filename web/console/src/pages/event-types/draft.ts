// The definition of an event type while it is designed. Nothing is stored before it is saved.

import type {
  AdditionalFields,
  ConditionalEffect,
  CreateEventTypeInput,
  EventTypeDetailsQuery,
  FieldKind,
  PredicateOperator,
} from "../../api/generated";

export type EventTypeDetails = NonNullable<EventTypeDetailsQuery["eventType"]>;

export interface Choice {
  value: string;
  label: string;
}

export interface FieldDraft {
  /** Identifies the field in this page, also while its name changes. */
  key: string;
  /** A stored field keeps its name. */
  isStored: boolean;
  name: string;
  label: string;
  kind: FieldKind;
  required: boolean;
  helpText: string;
  unit: string;
  choices: readonly Choice[];
  minimum: number | null;
  maximum: number | null;
  minLength: number | null;
  maxLength: number | null;
  pattern: string;
  default: unknown;
  sourceKey: string;
}

export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition }
  | { field: Predicate };

export interface Predicate {
  field: string;
  operator: PredicateOperator;
  value?: unknown;
}

export interface RuleDraft {
  key: string;
  name: string;
  effect: ConditionalEffect;
  targets: readonly string[];
  condition: Condition;
  enabled: boolean;
}

export interface TypeDraft {
  type: string;
  name: string;
  description: string;
  category: string;
  additionalFields: AdditionalFields;
  fields: readonly FieldDraft[];
  rules: readonly RuleDraft[];
}

export const KINDS: readonly FieldKind[] = [
  "TEXT",
  "LONG_TEXT",
  "NUMBER",
  "INTEGER",
  "BOOLEAN",
  "DATE",
  "DATETIME",
  "SELECT",
  "MULTI_SELECT",
  "URL",
  "EMAIL",
];
export const isNumeric = (kind: FieldKind): boolean => kind === "NUMBER" || kind === "INTEGER";
export const isChoice = (kind: FieldKind): boolean => kind === "SELECT" || kind === "MULTI_SELECT";
export const isText = (kind: FieldKind): boolean =>
  kind === "TEXT" || kind === "LONG_TEXT" || kind === "URL" || kind === "EMAIL";

let lastKey = 0;
const createKey = (): string => `new-${++lastKey}`;

export const EMPTY_TYPE: TypeDraft = {
  type: "",
  name: "",
  description: "",
  category: "",
  additionalFields: "REFUSE",
  fields: [],
  rules: [],
};

export function createField(existing: readonly FieldDraft[]): FieldDraft {
  const names = new Set(existing.map(({ name }) => name));
  let number = existing.length + 1;
  while (names.has(`field_${number}`)) number++;
  return {
    key: createKey(),
    isStored: false,
    name: `field_${number}`,
    label: "",
    kind: "TEXT",
    required: false,
    helpText: "",
    unit: "",
    choices: [],
    minimum: null,
    maximum: null,
    minLength: null,
    maxLength: null,
    pattern: "",
    default: null,
    sourceKey: "",
  };
}

export function createRule(fields: readonly FieldDraft[]): RuleDraft {
  const [first, second] = fields;
  return {
    key: createKey(),
    name: "",
    effect: "SHOW",
    targets: second ? [second.name] : [],
    condition: { all: [{ field: { field: first?.name ?? "", operator: "EXISTS" } }] },
    enabled: true,
  };
}

/** The stored definition. */
export function readDraft(type: EventTypeDetails): TypeDraft {
  return {
    type: type.type,
    name: type.name,
    description: type.description ?? "",
    category: type.category,
    additionalFields: type.additionalFields,
    fields: type.fields.map((field) => ({
      key: `field-${field.name}`,
      isStored: true,
      name: field.name,
      label: field.label === field.name ? "" : field.label,
      kind: field.kind,
      required: field.required,
      helpText: field.helpText ?? "",
      unit: field.unit ?? "",
      choices: (field.choices ?? []).map(({ value, label }) => ({ value, label: label === value ? "" : label })),
      minimum: field.minimum ?? null,
      maximum: field.maximum ?? null,
      minLength: field.minLength ?? null,
      maxLength: field.maxLength ?? null,
      pattern: field.pattern ?? "",
      default: field.default ?? null,
      sourceKey: field.sourceKey ?? "",
    })),
    rules: type.conditionalRules.map(({ name, effect, condition, enabled, targets }, index) => ({
      key: `rule-${index}`,
      name,
      effect,
      condition: condition as Condition,
      enabled,
      targets: targets.map((target) => target.name),
    })),
  };
}

const orNull = (text: string): string | null => (text.trim() === "" ? null : text);

/** The definition as an argument. Attributes that do not apply to the kind of a field are left out. */
export function writeDraft(draft: TypeDraft): CreateEventTypeInput {
  return {
    type: orNull(draft.type),
    name: draft.name,
    description: orNull(draft.description),
    category: orNull(draft.category),
    additionalFields: draft.additionalFields,
    fields: draft.fields.map((field) => ({
      name: field.name,
      label: orNull(field.label),
      kind: field.kind,
      required: field.required,
      helpText: orNull(field.helpText),
      unit: orNull(field.unit),
      choices: isChoice(field.kind)
        ? field.choices.map(({ value, label }) => ({ value, label: orNull(label) }))
        : null,
      minimum: isNumeric(field.kind) ? field.minimum : null,
      maximum: isNumeric(field.kind) ? field.maximum : null,
      minLength: isText(field.kind) ? field.minLength : null,
      maxLength: isText(field.kind) ? field.maxLength : null,
      pattern: isText(field.kind) ? orNull(field.pattern) : null,
      default: field.default,
      sourceKey: orNull(field.sourceKey),
    })),
    conditionalRules: draft.rules.map(({ key: _, targets, ...rule }) => ({ ...rule, targets: [...targets] })),
  };
}

/** Changes a field, and its name in the rules. */
export function changeField(draft: TypeDraft, key: string, changes: Partial<FieldDraft>): TypeDraft {
  const before = draft.fields.find((field) => field.key === key)!;
  const after = { ...before, ...changes };
  if (after.kind !== before.kind) after.default = null;
  const rename = (name: string) => (name === before.name ? after.name : name);
  return {
    ...draft,
    fields: draft.fields.map((field) => (field.key === key ? after : field)),
    rules:
      after.name === before.name
        ? draft.rules
        : draft.rules.map((rule) => ({
            ...rule,
            targets: rule.targets.map(rename),
            condition: renameField(rule.condition, rename),
          })),
  };
}

function renameField(condition: Condition, rename: (name: string) => string): Condition {
  if ("all" in condition) return { all: condition.all.map((each) => renameField(each, rename)) };
  if ("any" in condition) return { any: condition.any.map((each) => renameField(each, rename)) };
  if ("not" in condition) return { not: renameField(condition.not, rename) };
  return { field: { ...condition.field, field: rename(condition.field.field) } };
}

/** Whether JSON that was entered has the form of a condition. */
export function isCondition(value: unknown): value is Condition {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const [entry, ...others] = Object.entries(value);
  if (!entry || others.length > 0) return false;
  const [key, content] = entry;
  if (key === "all" || key === "any") return Array.isArray(content) && content.every(isCondition);
  if (key === "not") return isCondition(content);
  return key === "field" && typeof content?.field === "string" && typeof content?.operator === "string";
}
