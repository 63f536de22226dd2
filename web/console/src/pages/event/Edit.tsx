// Editing an event, by the form of the version of its event type. Only what was changed is sent.

import { Alert, Button, Group, Stack, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FieldValues, toErrorSchema, withoutNull } from "@tocsin/react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  EditedEventDocument,
  type EditedEventQuery,
  FormOfVersionDocument,
  UpdateEventDocument,
  type UpdateEventInput,
} from "../../api/generated";
import { type AttributeValues, EventAttributes, isOfAttribute, toInput } from "../../common/EventAttributes";
import { changesOf, isEqual } from "../../common/draft";
import { EventForm, focusProblem } from "../../common/EventForm";
import { JsonFields } from "../../common/JsonFields";
import { Problems } from "../../common/Problems";
import { SAVED, UnsavedChanges } from "../../common/UnsavedChanges";
import type { Problem } from "../../common/userErrors";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { useFollowedEvent } from "./follow";
import classes from "./index.module.css";
import { NotFound } from "./NotFound";

const t = texts.edit;

type EditedEvent = NonNullable<EditedEventQuery["event"]>;

export default function EditPage() {
  const id = useParams()["id"]!;
  const { data, error, refetch } = useApiQuery(EditedEventDocument, { id });
  const [round, setRound] = useState(0);
  useFollowedEvent(id);
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  if (!data.event) return <NotFound />;
  return <Edit key={`${id} ${round}`} event={data.event} onRestart={() => setRound(round + 1)} />;
}

const attributesOf = (event: EditedEvent): AttributeValues => ({
  summary: event.summary,
  severity: event.severity,
  entityType: event.entity?.type ?? "",
  entityId: event.entity?.entityId ?? "",
  outcome: event.outcome ?? "",
  occurredAt: event.occurredAt,
  tags: event.tags,
  content: event.content ?? "",
  notification: event.notification,
});

/** Returns the entries that differ. Those that are missing afterwards are null. */
function fieldChangesOf(before: FieldValues, after: FieldValues): FieldValues {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return Object.fromEntries(
    [...names].filter((name) => !isEqual(before[name], after[name])).map((name) => [name, after[name] ?? null]),
  );
}

/** Keeps the values of the reader when the event changes. The server rejects them after a change. */
function Edit({ event: latest, onRestart }: { event: EditedEvent; onRestart: () => void }) {
  const [event] = useState(latest);
  const { client } = useApi();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [attributes, setAttributes] = useState(() => attributesOf(event));
  const [fields, setFields] = useState<FieldValues>(event.fields);
  const element = useRef<HTMLDivElement>(null);
  const save = useMutation({
    mutationFn: async () => {
      const input: UpdateEventInput = {
        ...changesOf(toInput(attributesOf(event)), toInput(attributes)),
        id: event.id,
        ifVersion: event.version,
      };
      const changed = fieldChangesOf(event.fields, fields);
      if (Object.keys(changed).length > 0) input.fields = changed;
      return (await client.request(UpdateEventDocument, { input })).updateEvent;
    },
    onSuccess: async ({ userErrors, warnings }) => {
      if (userErrors.length > 0) return;
      await queries.invalidateQueries();
      await navigate(`/events/${event.id}`, { state: { ...SAVED, warnings } });
    },
  });
  const problems = save.data?.userErrors ?? [];
  const isChanged = !isEqual(attributes, attributesOf(event)) || !isEqual(fields, event.fields);
  useEffect(() => {
    if (save.data) focusProblem(element.current);
  }, [save.data]);

  const renderRest: FieldsProps["renderRest"] = (isAtField) => (
    <>
      <Title order={2} size="h4">
        {t.attributes}
      </Title>
      <EventAttributes
        values={attributes}
        onChange={setAttributes}
        problems={problems}
        defaultSummary={null}
        disabled={save.isPending}
      />
      <div role="status">
        <Problems
          title={t.problems}
          problems={problems.filter((problem) => !isOfAttribute(problem) && !isAtField(problem))}
        />
      </div>
      <SaveError error={save.error} />
      <Group>
        <Button type="submit" loading={save.isPending}>
          {t.save}
        </Button>
        <Button variant="default" component={Link} to={`/events/${event.id}`} state={SAVED}>
          {t.cancel}
        </Button>
      </Group>
    </>
  );
  const props = { event, fields, setFields, problems, isSaving: save.isPending, onSave: save.mutate, renderRest };
  return (
    <Stack ref={element} className={classes.form}>
      <UnsavedChanges exist={isChanged} />
      <Title order={1} size="h2" className={classes.title}>
        {t.title(event.summary)}
      </Title>
      {latest.version !== event.version && (
        <Alert variant="default" role="status" title={t.changed}>
          <Button variant="default" onClick={onRestart}>
            {t.restart}
          </Button>
        </Alert>
      )}
      {event.eventType ? (
        <OfType {...props} typeId={event.eventType.id} name={event.eventType.name} />
      ) : (
        <FreeForm {...props} />
      )}
    </Stack>
  );
}

interface FieldsProps {
  event: EditedEvent;
  fields: FieldValues;
  setFields: (fields: FieldValues) => void;
  problems: readonly Problem[];
  isSaving: boolean;
  onSave: () => void;
  /** Renders the other inputs, the problems that are not shown at a field, and the buttons. */
  renderRest: (isAtField: (problem: Problem) => boolean) => ReactNode;
}

function OfType({ event, typeId, name, fields, setFields, problems, isSaving, onSave, renderRest }: FieldsProps & { typeId: string; name: string }) {
  const version = event.eventTypeVersion;
  const { data, error, refetch } = useApiQuery(FormOfVersionDocument, { id: typeId, version });
  const schema = useMemo(() => data?.eventType && withoutNull(data.eventType.jsonSchema), [data]);
  // Such as a guard rule that uses several fields, or a value that the form does not show.
  const isAtField = ({ path }: Problem): boolean =>
    path[1] === "fields" && Object.hasOwn(schema?.properties ?? {}, path[2] ?? "");
  const extraErrors = useMemo(() => toErrorSchema(problems.filter(isAtField)), [problems, schema]);
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  if (!schema) return <Empty title={t.noType} />;
  return (
    <>
      <Title order={2} size="h4">
        {t.fields(name, version)}
      </Title>
      <EventForm
        schema={schema}
        uiSchema={data.eventType!.uiSchema}
        formData={fields}
        extraErrors={extraErrors}
        disabled={isSaving}
        onChange={({ formData }) => setFields(formData ?? {})}
        onSubmit={onSave}
      >
        {renderRest(isAtField)}
      </EventForm>
    </>
  );
}

const isOfFields = ({ path }: Problem): boolean => path[1] === "fields";

/** Without an event type, the fields are any JSON object. */
function FreeForm({ fields, setFields, problems, isSaving, onSave, renderRest }: FieldsProps) {
  const [isInvalid, setIsInvalid] = useState(false);
  const messages = problems.filter(isOfFields).map(({ message }) => message);
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        if (!isInvalid) onSave();
      }}
    >
      <Stack>
        <JsonFields
          label={texts.form.json}
          initialFields={fields}
          onChange={(changed) => {
            setIsInvalid(changed === null);
            if (changed) setFields(changed);
          }}
          disabled={isSaving}
          error={messages.join(" ") || undefined}
        />
        {renderRest(isOfFields)}
      </Stack>
    </form>
  );
}
