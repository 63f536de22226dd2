import { formatIs, or, rankWith } from "@jsonforms/core";
import { JsonForms, withJsonFormsCellProps } from "@jsonforms/react";
import { vanillaCells, vanillaRenderers } from "@jsonforms/vanilla-renderers";
import { createElement } from "react";
import { withoutNull } from "./schema.mjs";

/** A form for `jsonSchema(draft: DRAFT_07)` and `uiSchema`. `onChange` gets `data` and `errors`. */
export function EventForm({ jsonSchema, uiSchema, fields, onChange }) {
  return createElement(JsonForms, {
    schema: withoutNull(jsonSchema),
    uischema: buildLayout(jsonSchema, uiSchema),
    data: fields,
    renderers: vanillaRenderers,
    cells: [...vanillaCells, { tester: isAddress, cell: AddressCell }],
    onChange,
  });
}

/** JSON Forms has a UI schema of its own: the controls in order, and when each is visible. */
export function buildLayout(jsonSchema, uiSchema) {
  const names = uiSchema["ui:order"].filter((name) => name !== "*");
  const elements = names.map((name) => {
    const { "ui:title": label, "ui:widget": widget } = uiSchema[name];
    const options = { multi: widget === "textarea" };
    const rule = visibilityRule(jsonSchema, name);
    return { type: "Control", scope: `#/properties/${name}`, label, options, ...rule };
  });
  return { type: "VerticalLayout", elements };
}

/** A conditionally visible field is false, that is not allowed, in the `else` of its condition. */
function visibilityRule(jsonSchema, name) {
  const hides = (schema) => schema?.properties?.[name] === false || (schema && hides(schema.then));
  const condition = jsonSchema.allOf?.find((schema) => hides(schema.else));
  return condition && { rule: { effect: "SHOW", condition: { scope: "#", schema: condition.if } } };
}

// The vanilla renderers show email addresses and URLs as texts.
const isAddress = rankWith(10, or(formatIs("email"), formatIs("uri")));
const AddressCell = withJsonFormsCellProps(({ schema, id, data, enabled, path, handleChange }) =>
  createElement("input", {
    type: schema.format === "uri" ? "url" : "email",
    id,
    value: data ?? "",
    disabled: !enabled,
    onChange: ({ target }) => handleChange(path, target.value || undefined),
  }),
);
