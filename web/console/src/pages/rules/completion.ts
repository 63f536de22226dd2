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
const VARIABLES: Completion[] = [
  { label: "event", type: "variable" },
  { label: "old", type: "variable" },
  { label: "now", type: "variable", detail: "timestamp" },
  ...["true", "false", "null", "in"].map((label) => ({ label, type: "keyword" })),
];

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

/** `getFields` returns the fields of the event type of the rule. */
export function createCompletion(getFields: () => readonly FieldOption[]): CompletionSource {
  return (context) => {
    const before = context.state.sliceDoc(Math.max(0, context.pos - 300), context.pos);
    const text = completeText(context, before, getFields());
    if (text) return text;
    const word = WORD.exec(before)![0];
    const head = before.slice(0, before.length - word.length);
    const from = context.pos - word.length;
    if (/\b(event|old)\s*\.\s*fields\s*\.\??$/.test(head)) {
      const options = getFields().map(({ name, label, kind }) => ({
        label: name,
        detail: label === name ? kind : `${label}, ${kind}`,
        type: "property",
      }));
      return { from, options, validFor: /^\w*$/ };
    }
    if (/\b(event|old)\s*\.\s*entity\s*\.\??$/.test(head)) return { from, options: ENTITY, validFor: /^\w*$/ };
    if (/\b(event|old)\s*\.$/.test(head)) return { from, options: ATTRIBUTES, validFor: /^\w*$/ };
    const group = /\b(math|optional|strings)\.$/.exec(head);
    if (group) {
      const start = from - group[0].length;
      return { from: start, options: FUNCTIONS, validFor: /^[\w.]*$/ };
    }
    if (/[\w)\]"']\s*\.$/.test(head)) return { from, options: METHODS, validFor: /^\w*$/ };
    if (!word && !context.explicit) return null;
    return { from, options: [...VARIABLES, ...FUNCTIONS], validFor: /^\w*$/ };
  };
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
