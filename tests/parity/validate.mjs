// Validates values as browsers do. Each line on stdin is {schema, values: [..]}, each line on stdout
// a list with, for every value: the fields that Ajv rejects, those that react-jsonschema-form's own
// Ajv rejects (with ajv-formats 2), and those that its retrieveSchema shows and requires.

import { createInterface } from 'node:readline';
import { retrieveSchema } from '@rjsf/utils';
import { customizeValidator } from '@rjsf/validator-ajv8';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

function wrongFields(errors) {
  const relevant = (errors ?? []).filter(({ keyword }) => keyword !== 'if');
  const names = relevant.map(({ instancePath, params }) => {
    return params.missingProperty ?? params.additionalProperty ?? instancePath.split('/')[1];
  });
  return [...new Set(names)].sort();
}

// A form shows each field that is null, so that its value can be removed.
function withoutNulls(value) {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null));
}

// One validator, as on a page with many forms. Without optimization, the code is equivalent and
// compiles a third faster.
const code = { optimize: false };
const strict = { allErrors: true, strict: true, strictTypes: true, code };
const ajv = addFormats.default(new Ajv2020(strict));
const form = customizeValidator({ AjvClass: Ajv2020, ajvOptionsOverrides: { code } });

function validateAll({ schema, values }) {
  const validate = ajv.compile(schema);
  return values.map((value) => {
    validate(value);
    const kept = retrieveSchema(form, schema, schema, withoutNulls(value));
    const visible = Object.keys(kept.properties).filter((name) => kept.properties[name] !== false);
    return {
      wrong: wrongFields(validate.errors),
      wrongInForm: wrongFields(form.rawValidation(schema, value).errors),
      visible,
      required: visible.filter((name) => kept.required.includes(name)),
    };
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(validateAll(JSON.parse(line))));
}
