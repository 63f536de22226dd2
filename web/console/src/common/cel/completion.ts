// Completion of expressions: attributes and fields of events, their values, and functions.

import type { Completion, CompletionContext, CompletionResult, CompletionSource } from "@codemirror/autocomplete";
import { snippetCompletion } from "@codemirror/autocomplete";
import vocabulary from "./vocabulary.json";

export interface FieldOption {
  name: string;
  label: string;
  kind: string;
  options?: readonly string[] | null;
}

const WORD = /[\w]*$/;
const RULE_VARIABLES: Completion[] = [
  { label: "event", type: "variable" },
  { label: "old", type: "variable" },
  { label: "now", type: "variable", detail: "timestamp" },
];
const MAPPING_VARIABLES: Completion[] = [
  { label: "body", type: "variable" },
  { label: "headers", type: "variable" },
];
const KEYWORDS: Completion[] = ["true", "false", "null", "in"].map((label) => ({ label, type: "keyword" }));

const properties = (attributes: readonly { name: string; type: string }[]): Completion[] =>
  attributes.map(({ name, type }) => ({ label: name, detail: type, type: "property" }));

const calls = (functions: readonly { name: string; example: string }[]): Completion[] =>
  functions.map(({ name, example }) =>
    snippetCompletion(`${name}(\${})`, { label: name, type: "function", info: example }),
  );

const ATTRIBUTES = properties(vocabulary.attributes);
const ENTITY = properties(vocabulary.entity);
const FUNCTIONS = calls(vocabulary.functions);
const METHODS = calls(vocabulary.methods);

/** Completes expressions of guard rules. `fields` are those of the event type of the rule. */
export function createRuleCompletion(fields: readonly FieldOption[]): CompletionSource {
  return (context) => {
    const { before, head, word, from } = readInput(context);
    const text = completeText(context, before, fields);
    if (text) return text;
    if (/\b(event|old)\s*\.\s*fields\s*\.\??$/.test(head)) {
      const options = fields.map(({ name, label, kind }) => ({
        label: name,
        detail: label === name ? kind : `${label}, ${kind}`,
        type: "property",
      }));
      return { from, options, validFor: /^\w*$/ };
    }
    if (/\b(event|old)\s*\.\s*entity\s*\.\??$/.test(head)) return { from, options: ENTITY, validFor: /^\w*$/ };
    if (/\b(event|old)\s*\.$/.test(head)) return { from, options: ATTRIBUTES, validFor: /^\w*$/ };
    return completeNames(context, head, word, from, RULE_VARIABLES);
  };
}

const BODY_PATH = /\bbody((?:\s*\.\??\s*\w+)*)\s*\.\??$/;

/** Completes expressions of mappings with the keys of a sample of the payload. */
export function createMappingCompletion(sample: unknown): CompletionSource {
  return (context) => {
    const { head, word, from } = readInput(context);
    const path = BODY_PATH.exec(head)?.[1];
    if (path === undefined) return completeNames(context, head, word, from, MAPPING_VARIABLES);
    // Each element of an array is a payload of its own.
    let value: unknown = Array.isArray(sample) ? sample[0] : sample;
    for (const [key] of path.matchAll(/\w+/g)) value = isObject(value) ? value[key] : undefined;
    const keys = isObject(value) ? Object.entries(value).filter(([key]) => /^[A-Za-z_]\w*$/.test(key)) : [];
    const options = keys.map(([key, each]) => ({
      label: key,
      detail: isObject(each) ? undefined : JSON.stringify(each)?.slice(0, 30),
      type: "property",
    }));
    return { from, options: [...options, ...METHODS], validFor: /^\w*$/ };
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The text before the cursor: `before`, which ends with `word`, which follows `head`. */
function readInput(context: CompletionContext) {
  const before = context.state.sliceDoc(Math.max(0, context.pos - 300), context.pos);
  const word = WORD.exec(before)![0];
  const head = before.slice(0, before.length - word.length);
  return { before, head, word, from: context.pos - word.length };
}

/** Completes functions, methods and variables. */
function completeNames(
  context: CompletionContext,
  head: string,
  word: string,
  from: number,
  variables: readonly Completion[],
): CompletionResult | null {
  const group = /\b(math|optional|strings)\.$/.exec(head);
  if (group) {
    const start = from - group[0].length;
    return { from: start, options: FUNCTIONS, validFor: /^[\w.]*$/ };
  }
  if (/[\w)\]"']\s*\.$/.test(head)) return { from, options: METHODS, validFor: /^\w*$/ };
  if (!word && !context.explicit) return null;
  return { from, options: [...variables, ...KEYWORDS, ...FUNCTIONS], validFor: /^\w*$/ };
}

const COMPARED = /\b(?:event|old)\s*\.\s*(fields\s*\.\s*)?(\w+)\s*(?:==|!=)\s*(["'])([^"']*)$/;

/** The strings with which an attribute or a field can be compared, inside quotes. */
function completeText(
  context: CompletionContext,
  before: string,
  fields: readonly FieldOption[],
): CompletionResult | null {
  const match = COMPARED.exec(before);
  if (!match) return null;
  const [, isField, name, , typed] = match;
  const values = isField
    ? fields.find((field) => field.name === name)?.options
    : vocabulary.attributes.find((attribute) => attribute.name === name)?.values;
  if (!values?.length) return null;
  return {
    from: context.pos - typed!.length,
    options: values.map((label) => ({ label, type: "enum" })),
    validFor: /^[^"']*$/,
  };
}
