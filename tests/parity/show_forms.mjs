// Shows forms with the code of docs/forms.md. Stdin has {draft07, draft2020, uiSchema, fields}, stdout
// the HTML of both forms and the errors of each validator.

import { text } from 'node:stream/consumers';
import { createAjv, validate } from '@jsonforms/core';
import Form from '@rjsf/core';
import validator from '@rjsf/validator-ajv8';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { compileDraft07, compileDraft2020, describeErrors } from './forms/ajv.mjs';
import { EventForm as JsonForm } from './forms/jsonforms.mjs';
import { EventForm as ReactForm, transformErrors } from './forms/rjsf.mjs';

const { draft07, draft2020, uiSchema, fields } = JSON.parse(await text(process.stdin));

function ajvErrors(compile, schema) {
  const validateFields = compile(schema);
  return validateFields(fields) ? [] : describeErrors(schema, validateFields.errors);
}

function show(form) {
  return renderToStaticMarkup(createElement(form, { jsonSchema: draft07, uiSchema, fields }));
}

const inForm = [fields, draft07, undefined, transformErrors, uiSchema];
console.log(
  JSON.stringify({
    ajvDraft07: ajvErrors(compileDraft07, draft07),
    ajvDraft2020: ajvErrors(compileDraft2020, draft2020),
    rjsf: validator.validateFormData(...inForm).errors.map((error) => error.stack),
    jsonForms: validate(createAjv().compile(draft07), fields).map((error) => error.message),
    rjsfHtml: show(ReactForm),
    jsonFormsHtml: show(JsonForm),
    plainHtml: renderToStaticMarkup(
      createElement(Form, { schema: draft07, uiSchema, validator, formData: fields }),
    ),
  }),
);
