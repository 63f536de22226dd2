// Inputs for the attributes that every event has, besides the fields of its event type.

import { Group, NativeSelect, Switch, TagsInput, Textarea, TextInput } from "@mantine/core";
import type { Outcome, Severity } from "../api/generated";
import { texts } from "../texts";
import { fromLocalInput, toLocalInput } from "./localTime";
import { SEVERITIES } from "./severity";
import type { Problem } from "./userErrors";

const t = texts.form;

export interface AttributeValues {
  summary: string;
  severity: Severity | "";
  entityType: string;
  entityId: string;
  outcome: Outcome | "";
  occurredAt: string | null;
  tags: string[];
  content: string;
  notification: boolean;
}

export const NO_ATTRIBUTES: AttributeValues = {
  summary: "",
  severity: "",
  entityType: "",
  entityId: "",
  outcome: "",
  occurredAt: null,
  tags: [],
  content: "",
  notification: false,
};

/** Attributes as an input of the API, in which empty ones are null. */
export const toInput = ({ entityType, entityId, ...values }: AttributeValues) => ({
  summary: values.summary.trim() || null,
  severity: values.severity || null,
  entity: entityType || entityId ? { type: entityType, id: entityId } : null,
  outcome: values.outcome || null,
  occurredAt: values.occurredAt,
  tags: values.tags,
  content: values.content || null,
  notification: values.notification,
});

const NAMES = new Set(Object.keys(toInput(NO_ATTRIBUTES)));

/** Whether the problem is shown at an input of this module. */
export const isOfAttribute = ({ path }: Problem): boolean => NAMES.has(path[1] ?? "");

interface Props {
  values: AttributeValues;
  onChange: (values: AttributeValues) => void;
  problems: readonly Problem[];
  /** Summary of an event for which none is given. Null if a summary is required. */
  defaultSummary: string | null;
  disabled: boolean;
}

export function EventAttributes({ values, onChange, problems, defaultSummary, disabled }: Props) {
  const set = (changes: Partial<AttributeValues>) => onChange({ ...values, ...changes });
  const errorOf = (...place: string[]) =>
    problems
      .filter(({ path }) => place.every((name, index) => path[index + 1] === name))
      .map(({ message }) => message)
      .join(" ") || undefined;
  const entityError = (name: "type" | "id") => errorOf("entity", name) ?? (name === "type" ? errorOf("entity") : undefined);

  return (
    <>
      <TextInput
        label={t.summary}
        placeholder={defaultSummary ?? undefined}
        required={defaultSummary === null}
        value={values.summary}
        error={errorOf("summary")}
        disabled={disabled}
        onChange={({ currentTarget }) => set({ summary: currentTarget.value })}
      />
      <Group grow preventGrowOverflow={false} align="start">
        <NativeSelect
          label={t.severity}
          value={values.severity}
          error={errorOf("severity")}
          disabled={disabled}
          onChange={({ currentTarget }) => set({ severity: currentTarget.value as Severity | "" })}
          data={[
            ...(defaultSummary === null ? [] : [{ value: "", label: t.defaultSeverity }]),
            ...SEVERITIES.filter((value) => defaultSummary === null || value !== "INFO").map((value) => ({
              value,
              label: texts.severities[value],
            })),
          ]}
        />
        <NativeSelect
          label={t.outcome}
          value={values.outcome}
          error={errorOf("outcome")}
          disabled={disabled}
          onChange={({ currentTarget }) => set({ outcome: currentTarget.value as Outcome | "" })}
          data={[
            { value: "", label: t.noOutcome },
            { value: "SUCCESS", label: texts.event.outcomes.SUCCESS },
            { value: "FAILURE", label: texts.event.outcomes.FAILURE },
          ]}
        />
        <TextInput
          type="datetime-local"
          step={1}
          label={t.occurredAt}
          value={toLocalInput(values.occurredAt)}
          error={errorOf("occurredAt")}
          disabled={disabled}
          onChange={({ currentTarget }) => set({ occurredAt: fromLocalInput(currentTarget.value) })}
        />
      </Group>
      <Group grow preventGrowOverflow={false} align="start">
        <TextInput
          label={t.entityType}
          description={t.entityTypeHint}
          value={values.entityType}
          error={entityError("type")}
          disabled={disabled}
          onChange={({ currentTarget }) => set({ entityType: currentTarget.value })}
        />
        <TextInput
          label={t.entityId}
          description={t.entityIdHint}
          value={values.entityId}
          error={entityError("id")}
          disabled={disabled}
          onChange={({ currentTarget }) => set({ entityId: currentTarget.value })}
        />
      </Group>
      <TagsInput
        label={t.tags}
        description={t.tagsHint}
        value={values.tags}
        error={errorOf("tags")}
        disabled={disabled}
        splitChars={[]}
        onChange={(tags) => set({ tags })}
      />
      <Textarea
        label={t.content}
        description={t.contentHint}
        autosize
        minRows={3}
        maxRows={16}
        value={values.content}
        error={errorOf("content")}
        disabled={disabled}
        onChange={({ currentTarget }) => set({ content: currentTarget.value })}
      />
      <Switch
        label={t.notification}
        checked={values.notification}
        error={errorOf("notification")}
        disabled={disabled}
        onChange={({ currentTarget }) => set({ notification: currentTarget.checked })}
      />
    </>
  );
}
