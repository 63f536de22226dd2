// Validates values as browsers do. Each line on stdin is {draft2020, draft07, values: [..]}, each line
// on stdout a list with, for every value: the fields that each validator rejects, and those that
// react-jsonschema-form's retrieveSchema shows and requires.

import { createInterface } from 'node:readline';
import { createAjv, validate as validateInJsonForms } from '@jsonforms/core';
import { retrieveSchema } from '@rjsf/utils';
import { customizeValidator } from '@rjsf/validator-ajv8';
import { Ajv } from 'ajv';
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

// One validator of each kind, as on a page with many forms. Their options are the defaults, but Ajv
// reports all errors, and without optimization the code is equivalent and compiles a third faster.
const code = { optimize: false };
const ajvDraft2020 = addFormats(new Ajv2020({ allErrors: true, strictTypes: true, code }));
const ajvDraft07 = addFormats(new Ajv({ allErrors: true, code }));
for (const ajv of [ajvDraft2020, ajvDraft07]) ajv.addKeyword('x-unit');
const form = customizeValidator({ ajvOptionsOverrides: { code } });
const jsonForms = createAjv({ code });

function validateAll({ draft2020, draft07, values }) {
  const validateDraft2020 = ajvDraft2020.compile(draft2020);
  const validateDraft07 = ajvDraft07.compile(draft07);
  const validateJsonForm = jsonForms.compile(draft07);
  return values.map((value) => {
    validateDraft2020(value);
    validateDraft07(value);
    const kept = retrieveSchema(form, draft07, draft07, withoutNulls(value));
    // For values that the type does not define, react-jsonschema-form adds properties.
    const names = Object.keys(draft07.properties);
    const visible = names.filter((name) => kept.properties[name] !== false);
    return {
      ajvDraft2020: wrongFields(validateDraft2020.errors),
      ajvDraft07: wrongFields(validateDraft07.errors),
      rjsf: wrongFields(form.rawValidation(draft07, value).errors),
      jsonForms: wrongFields(validateInJsonForms(validateJsonForm, value)),
      visible,
      required: visible.filter((name) => kept.required.includes(name)),
    };
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(validateAll(JSON.parse(line))));
}
