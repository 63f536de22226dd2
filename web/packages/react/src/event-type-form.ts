import { type TocsinClient, TocsinError } from "@tocsin/client";
import { useEffect } from "react";
import {
  CheckEventDocument,
  type CheckEventQuery,
  EventTypeFormDocument,
  type EventTypeFormQuery,
  LogEventDocument,
  type LogEventInput,
  type LogEventMutation,
} from "./operations.js";
import { asTocsinError, retry } from "./requests.js";
import { Store, useStore } from "./store.js";

export type FieldValues = Record<string, unknown>;
export type EventProblem = LogEventMutation["logEvent"]["userErrors"][number];
export type EventResult = Omit<LogEventMutation["logEvent"], "userErrors">;
export type OriginalEvent = NonNullable<CheckEventQuery["checkEvent"]["duplicateOf"]>;
type JsonSchema = { properties?: Record<string, any>; [keyword: string]: unknown };

export interface EventTypeFormOptions {
  /** Values of the fields at the beginning, besides the default values of the event type. */
  initialValues?: FieldValues;
  /**
   * Attributes of the event besides its fields, such as `entity`, `summary` and `notification`. They are
   * validated together with the values when they change.
   */
  attributes?: Omit<LogEventInput, "type" | "eventTypeId" | "fields">;
  /** Time without changes after which the values are validated, in milliseconds. Default 300. */
  delay?: number;
}

interface FormState {
  /** The event type. Null until it is loaded, and if it does not exist. */
  eventType: NonNullable<EventTypeFormQuery["eventType"]> | null;
  isLoading: boolean;
  /** Values of the fields. */
  values: FieldValues;
  /** Names of the fields that are visible for these values, in form order. */
  visibleFields: readonly string[];
  /** Names of the visible fields that must have a value. */
  requiredFields: readonly string[];
  /** Whether the server would accept the event. False until the values are validated. */
  isValid: boolean;
  isChecking: boolean;
  /** Problems with a field that was changed or, after `submit`, with any field, by name. */
  fieldProblems: Readonly<Record<string, readonly EventProblem[]>>;
  /** Problems with the event as a whole. */
  problems: readonly EventProblem[];
  /** Warnings, such as that the event type is deprecated. Values of hidden fields cause none. */
  warnings: readonly EventProblem[];
  /** The event that the event would be a duplicate of, under a duplication rule. Null if there is none. */
  duplicateOf: OriginalEvent | null;
  isSubmitting: boolean;
  /** The logged event. Null until it is logged, and again when a value changes. */
  result: EventResult | null;
  error: TocsinError | null;
}

/** Properties of `Form` in react-jsonschema-form, which needs a `validator` besides. */
export interface EventFormProps {
  schema: Record<string, any>;
  uiSchema: Record<string, any>;
  formData: FieldValues;
  extraErrors: Record<string, any>;
  disabled: boolean;
  noHtml5Validate: true;
  noValidate: true;
  showErrorList: false;
  experimental_defaultFormStateBehavior: { constAsDefaults: "never" };
  onChange: (change: { formData?: FieldValues }) => void;
  onSubmit: (submitted: { formData?: FieldValues }) => void;
}

export interface EventTypeForm extends FormState {
  /** Properties for react-jsonschema-form: `<Form {...formProps} validator={validator} />`. */
  formProps: EventFormProps;
  /** Replaces the values, and validates them. */
  setValues: (values: FieldValues) => void;
  /**
   * Logs the event. Returns null if it was rejected (`problems`, `fieldProblems`) or the request failed
   * (`error`). An event that is submitted again, because the response was lost, is stored once.
   */
  submit: () => Promise<EventResult | null>;
  /** Returns to the initial values. */
  reset: () => void;
  /** Starts again after an error, for example with a new credential. */
  reload: () => void;
}

/** A form for events of a type: its schemas, values and problems, validated by the server. */
export function useEventTypeForm(type: string, options: EventTypeFormOptions = {}): EventTypeForm {
  const [store, state] = useStore(type, (client) => new FormStore(client, type), true);
  store.options = options;
  const attributes = JSON.stringify(options.attributes);
  useEffect(() => store.checkAttributes(attributes), [store, attributes]);
  const { formProps, setValues, submit, reset, reload } = store;
  return { ...state, formProps: formProps(), setValues, submit, reset, reload };
}

const INITIAL_STATE: FormState = {
  eventType: null,
  isLoading: true,
  values: {},
  visibleFields: [],
  requiredFields: [],
  isValid: false,
  isChecking: false,
  fieldProblems: {},
  problems: [],
  warnings: [],
  duplicateOf: null,
  isSubmitting: false,
  result: null,
  error: null,
};
const FIELDS_PATH = 2; // length of ["input", "fields"]

class FormStore extends Store<FormState> {
  options: EventTypeFormOptions = {};
  private schema: JsonSchema = {};
  private changed = new Set<string>();
  private isSubmitted = false;
  private sourceId = randomId();
  private checking = new AbortController();
  private checkedAttributes: string | undefined;

  constructor(
    private readonly client: TocsinClient,
    private readonly type: string,
  ) {
    super(INITIAL_STATE);
  }

  protected start(signal: AbortSignal): void {
    signal.addEventListener("abort", () => this.checking.abort());
    const { eventType, isLoading } = this.getState();
    if (eventType !== null) return this.recheck(0); // mounted again, or reloaded
    if (!isLoading) this.setState({ isLoading: true, error: null });
    void this.load(signal).catch((error) => signal.aborted || this.fail(error));
  }

  private async load(signal: AbortSignal): Promise<void> {
    const request = () => this.client.request(EventTypeFormDocument, { type: this.type }, { signal });
    const { eventType } = await retry(signal, request);
    signal.throwIfAborted();
    if (eventType === null) throw new TocsinError("NOT_FOUND", `There is no event type '${this.type}'.`);
    this.schema = withoutNull(eventType.jsonSchema as JsonSchema);
    this.setState({ eventType, isLoading: false });
    this.reset();
  }

  readonly reset = (): void => {
    const defaults = Object.entries(this.schema.properties ?? {})
      .filter(([, property]) => property.default !== undefined)
      .map(([name, property]) => [name, property.default]);
    this.changed.clear();
    this.isSubmitted = false;
    this.setState({ problems: [], fieldProblems: {}, error: null });
    this.change({ ...Object.fromEntries(defaults), ...this.options.initialValues }, 0);
  };

  readonly setValues = (values: FieldValues): void => {
    const old = this.getState().values;
    const names = [...Object.keys(old), ...Object.keys(values)];
    const changed = names.filter((name) => !isEqual(old[name], values[name]));
    if (changed.length === 0) return;
    for (const name of changed) this.changed.add(name);
    this.change(values, this.options.delay ?? 300);
  };

  /** Validates the event again if its attributes have changed. */
  readonly checkAttributes = (attributes: string | undefined): void => {
    const { eventType, values } = this.getState();
    if (attributes === this.checkedAttributes || eventType === null) return;
    this.change(values, this.options.delay ?? 300);
  };

  private change(values: FieldValues, delay: number): void {
    this.sourceId = randomId();
    this.setState({ values, result: null });
    this.recheck(delay);
  }

  private recheck(delay: number): void {
    this.checkedAttributes = JSON.stringify(this.options.attributes);
    this.setState({ isChecking: true });
    this.checking.abort();
    this.checking = new AbortController();
    void this.check(this.checking.signal, delay);
  }

  private async check(signal: AbortSignal, delay: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      const request = () => this.client.request(CheckEventDocument, { input: this.input() }, { signal });
      const { checkEvent } = await retry(signal, request);
      if (!signal.aborted) this.showCheck(checkEvent);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  private showCheck(check: CheckEventQuery["checkEvent"]): void {
    const { accepted, visibleFields, requiredFields, duplicateOf, userErrors } = check;
    const warnings = check.warnings.filter(({ code }) => code !== "FIELD_HIDDEN");
    const state = { isValid: accepted, visibleFields, requiredFields, duplicateOf, warnings };
    this.setState({ ...state, isChecking: false, error: null });
    this.showProblems(userErrors);
  }

  private showProblems(all: readonly EventProblem[]): void {
    const problems: EventProblem[] = [];
    const ofFields = new Map<string, EventProblem[]>();
    for (const problem of all) {
      const name = problem.path[1] === "fields" ? problem.path[FIELDS_PATH] : undefined;
      if (name === undefined) problems.push(problem);
      else if (this.isSubmitted || this.changed.has(name)) ofFields.set(name, [...(ofFields.get(name) ?? []), problem]);
    }
    this.setState({ problems, fieldProblems: Object.fromEntries(ofFields) });
  }

  private input(): LogEventInput {
    return {
      sourceId: this.sourceId,
      ...this.options.attributes,
      type: this.type,
      fields: this.getState().values,
    };
  }

  readonly submit = async (): Promise<EventResult | null> => {
    if (this.getState().isSubmitting) return null;
    this.isSubmitted = true;
    this.setState({ isSubmitting: true, result: null, error: null });
    try {
      const { userErrors, ...result } = (await this.client.request(LogEventDocument, { input: this.input() })).logEvent;
      const accepted = userErrors.length === 0 ? result : null;
      this.showProblems(userErrors);
      if (accepted) this.sourceId = randomId();
      this.setState({ result: accepted });
      return accepted;
    } catch (error) {
      this.fail(error);
      return null;
    } finally {
      this.setState({ isSubmitting: false });
    }
  };

  readonly formProps = (): EventFormProps => {
    const { eventType, values, fieldProblems, isLoading, isSubmitting } = this.getState();
    return {
      schema: this.schema,
      uiSchema: (eventType?.uiSchema ?? {}) as Record<string, any>,
      formData: values,
      extraErrors: toErrorSchema(Object.values(fieldProblems).flat()),
      disabled: isLoading || isSubmitting,
      noHtml5Validate: true,
      noValidate: true, // the server validates the values, and has one message for each problem
      showErrorList: false,
      experimental_defaultFormStateBehavior: { constAsDefaults: "never" }, // preselects no option
      onChange: ({ formData }) => this.setValues(formData ?? {}),
      onSubmit: ({ formData }) => {
        this.setValues(formData ?? {});
        void this.submit();
      },
    };
  };

  private fail(error: unknown): void {
    this.setState({ error: asTocsinError(error), isLoading: false, isChecking: false });
  }
}

/** Fields that are not required accept null. Forms omit empty fields, and must not offer null. */
export function withoutNull(jsonSchema: JsonSchema): JsonSchema {
  const isNotNull = (value: unknown) => value !== null && value !== "null";
  const properties = Object.entries(jsonSchema.properties ?? {}).map(([name, property]) => {
    const type = [property.type].flat().find(isNotNull);
    const options = property.enum && { enum: property.enum.filter(isNotNull) };
    const labelled = property.oneOf && { oneOf: property.oneOf.filter((option: any) => isNotNull(option.const)) };
    return [name, { ...property, type, ...options, ...labelled }];
  });
  return { ...jsonSchema, properties: Object.fromEntries(properties) };
}

/**
 * Returns the `extraErrors` of react-jsonschema-form: the messages at the fields of the problems. A form shows none
 * at a single element of a list.
 */
export function toErrorSchema(problems: readonly { path: readonly string[]; message: string }[]): Record<string, any> {
  const root: Record<string, any> = {};
  for (const { path, message } of problems) {
    const name = path[FIELDS_PATH];
    if (name !== undefined && !Object.hasOwn(root, name)) root[name] = {}; // a field may be named "constructor"
    const place = name === undefined ? root : root[name];
    (place["__errors"] ??= []).push(message);
  }
  return root;
}

const isEqual = (first: unknown, second: unknown): boolean => JSON.stringify(first) === JSON.stringify(second);

/** `crypto.randomUUID` is not available to pages that are not served over HTTPS. */
const randomId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
