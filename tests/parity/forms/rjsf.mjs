import Form from "@rjsf/core";
import validator from "@rjsf/validator-ajv8";
import { createElement } from "react";
import { withoutNull } from "./schema.mjs";

/** A form for `jsonSchema(draft: DRAFT_07)` and `uiSchema`. `onSubmit` gets the fields. */
export function EventForm({ jsonSchema, uiSchema, fields, onSubmit }) {
  return createElement(Form, {
    schema: withoutNull(jsonSchema),
    uiSchema,
    validator,
    formData: fields,
    experimental_defaultFormStateBehavior: { constAsDefaults: "never" }, // preselects no option
    transformErrors,
    onSubmit: ({ formData }) => onSubmit(formData),
  });
}

/** Removes errors that repeat another one. */
export function transformErrors(errors) {
  const formatErrors = new Set(errors.filter(isOf("format")).map((error) => error.property));
  return errors.filter(
    // "if" says that a conditional rule has an error, "pattern" what "format" says in words.
    (error) => !isOf("if")(error) && !(isOf("pattern")(error) && formatErrors.has(error.property)),
  );
}

const isOf = (keyword) => (error) => error.name === keyword;
