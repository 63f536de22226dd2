import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { Ajv2020 } from "ajv/dist/2020.js";

/** Returns a function that validates fields by `jsonSchema(draft: DRAFT_07)`. */
export function compileDraft07(schema) {
  return prepare(new Ajv()).compile(schema);
}

/** Returns a function that validates fields by `jsonSchema`, which is draft 2020-12. */
export function compileDraft2020(schema) {
  return prepare(new Ajv2020()).compile(schema);
}

function prepare(ajv) {
  addFormats(ajv);
  return ajv.addKeyword("x-unit");
}

/** Returns a message with the label of the field for each error. */
export function describeErrors(schema, errors) {
  return errors.map(({ instancePath, params, message }) => {
    const name =
      params.missingProperty ?? params.additionalProperty ?? instancePath.split("/")[1];
    return `${schema.properties[name]?.title ?? name}: ${message}`;
  });
}
