// A form for the fields of an event, generated from the JSON Schema and the uiSchema of an event
// type. The server validates the values; the schema decides which fields are visible.

import { Validator } from "@cfworker/json-schema";
import { Checkbox, Group, NativeSelect, Stack, Textarea, TextInput } from "@mantine/core";
import Form from "@rjsf/core";
import {
  ADDITIONAL_PROPERTY_FLAG,
  getInputProps,
  type ObjectFieldTemplateProps,
  type RJSFSchema,
  type ValidatorType,
  type WidgetProps,
} from "@rjsf/utils";
import type { FieldValues } from "@tocsin/react";
import type { ReactNode } from "react";
import { texts } from "../texts";

const t = texts.form;

interface Props {
  schema: RJSFSchema;
  uiSchema: Record<string, unknown>;
  formData: FieldValues;
  /** Messages at the paths of the values, as `toErrorSchema` returns them. */
  extraErrors: Record<string, any>;
  disabled: boolean;
  onChange: (change: { formData?: FieldValues }) => void;
  onSubmit?: (submitted: { formData?: FieldValues }) => void;
  /** Further inputs and the buttons of the form. */
  children: ReactNode;
}

export function EventForm({ schema, uiSchema, formData, extraErrors, disabled, onChange, onSubmit, children }: Props) {
  return (
    <Form
      schema={schema}
      uiSchema={uiSchema}
      formData={formData}
      extraErrors={extraErrors}
      disabled={disabled}
      onChange={onChange}
      onSubmit={onSubmit}
      validator={validator}
      templates={TEMPLATES}
      widgets={WIDGETS}
      experimental_defaultFormStateBehavior={NO_DEFAULTS}
      noHtml5Validate
      showErrorList={false}
    >
      <Stack mt="md">{children}</Stack>
    </Form>
  );
}

/** The caller decides on the values: the form adds none, and preselects no option. */
const NO_DEFAULTS = {
  constAsDefaults: "never",
  emptyObjectFields: "skipDefaults",
  requiredBooleanDefault: "skip",
} as const;

const validators = new WeakMap<object, Validator>();

/** Evaluates the conditions of the schema. Unlike Ajv, it works without `unsafe-eval`. */
const validator: ValidatorType = {
  isValid(schema, formData) {
    const known = validators.get(schema) ?? new Validator(schema as ConstructorParameters<typeof Validator>[0], "7");
    validators.set(schema, known);
    // The validator does not accept values that are undefined.
    return known.validate(JSON.parse(JSON.stringify(formData ?? null))).valid;
  },
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  rawValidation: () => ({ errors: [] }),
};

/** Shows the defined fields. Values under other names are kept, but cannot be edited. */
function Fields({ properties, schema }: ObjectFieldTemplateProps) {
  const isDefined = (name: string) => !Object.hasOwn(Object(schema.properties?.[name]), ADDITIONAL_PROPERTY_FLAG);
  return (
    <Stack>
      {properties.filter(({ name, hidden }) => !hidden && isDefined(name)).map(({ content }) => content)}
    </Stack>
  );
}

const Nothing = () => null;

const inputProps = ({ id, name, label, required, disabled, readonly, rawErrors, options, schema }: WidgetProps) => ({
  id,
  label,
  required,
  description: options.description ?? schema.description,
  disabled: disabled || readonly,
  // Messages of the server have the name of the field. The form shows its label instead.
  error: rawErrors?.map((message) => message.replace(`Field '${name}' `, () => `${label} `)).join(" "),
});

function Input(props: WidgetProps) {
  const { value, onChange, type, options, schema } = props;
  const { type: inputType, step } = getInputProps(schema, type, options);
  return (
    <TextInput
      {...inputProps(props)}
      type={inputType}
      step={step}
      value={value ?? ""}
      onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
    />
  );
}

function LongText(props: WidgetProps) {
  return (
    <Textarea
      {...inputProps(props)}
      autosize
      minRows={3}
      maxRows={12}
      value={props.value ?? ""}
      onChange={({ currentTarget }) => props.onChange(currentTarget.value || undefined)}
    />
  );
}

/** One of several options, or several of them. */
function Choice(props: WidgetProps) {
  const { value, onChange, multiple, disabled, options, id } = props;
  // Labelled options have one that is null.
  const choices = (options.enumOptions ?? [])
    .filter((option) => option.value !== null)
    .map((option) => ({ value: String(option.value), label: option.label }));
  if (!multiple) {
    return (
      <NativeSelect
        {...inputProps(props)}
        data={[{ value: "", label: "" }, ...choices]}
        value={value ?? ""}
        onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
      />
    );
  }
  return (
    <Checkbox.Group
      {...inputProps(props)}
      value={value ?? []}
      onChange={(chosen) => onChange(chosen.length > 0 ? chosen : undefined)}
    >
      <Group mt={4}>
        {choices.map((choice) => (
          <Checkbox key={choice.value} id={`${id}_${choice.value}`} disabled={disabled} {...choice} />
        ))}
      </Group>
    </Checkbox.Group>
  );
}

/** A checkbox; for a value that is required, a choice that is not made in advance. */
function YesOrNo(props: WidgetProps) {
  const { value, onChange, required } = props;
  if (required) {
    return (
      <NativeSelect
        {...inputProps(props)}
        data={[
          { value: "", label: "" },
          { value: "true", label: t.yes },
          { value: "false", label: t.no },
        ]}
        value={String(value ?? "")}
        onChange={({ currentTarget }) => onChange(currentTarget.value ? currentTarget.value === "true" : undefined)}
      />
    );
  }
  return (
    <Checkbox
      {...inputProps(props)}
      checked={value ?? false}
      onChange={({ currentTarget }) => onChange(currentTarget.checked)}
    />
  );
}

const TEMPLATES = {
  FieldTemplate: ({ children, hidden }: { children: ReactNode; hidden?: boolean }) => (hidden ? null : <>{children}</>),
  ObjectFieldTemplate: Fields,
  BaseInputTemplate: Input,
  // The inputs show their descriptions and errors, so that a screen reader reads them.
  FieldErrorTemplate: Nothing,
  FieldHelpTemplate: Nothing,
  DescriptionFieldTemplate: Nothing,
};

const WIDGETS = { TextareaWidget: LongText, SelectWidget: Choice, CheckboxWidget: YesOrNo };

/** Moves the focus to the first input with a problem. */
export function focusProblem(form: HTMLElement | null): void {
  form?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
}
