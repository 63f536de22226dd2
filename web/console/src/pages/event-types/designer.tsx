// One event type, or a new one: its definition, a preview of its form, its use and its versions.

import { Anchor, Badge, Code, Grid, Group, NativeSelect, Button, Stack, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { RJSFSchema } from "@rjsf/utils";
import { type FormEvent, useEffect, useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  type AdditionalFields,
  CheckEventTypeDocument,
  CreateEventTypeDocument,
  EventTypeDetailsDocument,
  ReplaceEventTypeDocument,
} from "../../api/generated";
import { AuditLink } from "../../common/AuditLink";
import { SAVED, UnsavedChanges } from "../../common/UnsavedChanges";
import { checked, type Problem } from "../../common/userErrors";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { changeField, EMPTY_TYPE, type EventTypeDetails, readDraft, type TypeDraft, writeDraft } from "./draft";
import { Fields } from "./Fields";
import { Lifecycle } from "./Lifecycle";
import { Preview } from "./Preview";
import { Rules } from "./Rules";
import { Use } from "./Use";
import { Versions } from "./Versions";

const t = texts.eventTypes;
const CHECK_MS = 400;
/** An option of a field in messages of the server, and its label. */
const OPTION = /\b(?:options|choices)\[(\d+)\](\.label)?/g;
const ADDITIONAL: AdditionalFields[] = ["REFUSE", "KEEP", "DROP"];

export default function EventTypePage() {
  const id = useParams()["id"]!;
  // A new form for each type.
  return id === "new" ? <EventType key={id} stored={null} /> : <StoredType key={id} id={id} />;
}

function StoredType({ id }: { id: string }) {
  const { can } = useApi();
  const { data, error, refetch } = useApiQuery(EventTypeDetailsDocument, {
    id,
    canReadEvents: can("EVENT_READ"),
  });
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!data) return <Loading />;
  if (!data.eventType) return <Empty title={t.notFound} isPage />;
  // A new version, also that of another user, replaces the form.
  return <EventType key={data.eventType.version} stored={data.eventType} />;
}

/** The first message at a path below `definition`, such as that of a field. */
function messageAt(problems: readonly Problem[], ...path: string[]): string | undefined {
  return problems
    .find((problem) => path.every((part, index) => problem.path[index + 1] === part))
    ?.message.replace(OPTION, (_, index, label) => t.option(Number(index) + 1, label !== undefined));
}

/** Whether the problem is shown at an attribute, a field or a conditional rule. */
const isAtInput = ([, attribute = "", index]: readonly string[]): boolean =>
  attribute === "fields" || attribute === "conditionalRules"
    ? index !== undefined
    : ["name", "type", "category", "description"].includes(attribute);

function EventType({ stored }: { stored: EventTypeDetails | null }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [draft, setDraft] = useState(() => (stored ? readDraft(stored) : EMPTY_TYPE));
  const [saved] = useState(() => JSON.stringify(writeDraft(draft)));
  const definition = writeDraft(draft);
  const text = JSON.stringify(definition);
  const isChanged = text !== saved;
  const isReadOnly = !can("EVENT_TYPE_MANAGE");
  const [checkedText] = useDebouncedValue(text, CHECK_MS);
  const check = useApiQuery(
    CheckEventTypeDocument,
    { id: stored?.id ?? null, definition: JSON.parse(checkedText) as typeof definition },
    { keepsPrevious: true, isEnabled: !isReadOnly },
  );
  const result = check.data?.checkEventType;
  const isChecking = text !== checkedText || check.isPlaceholderData;
  const [form, setForm] = useState<{ schema: RJSFSchema; uiSchema: Record<string, unknown> } | null>(null);
  useEffect(() => {
    // While the definition is invalid, the preview remains.
    if (result?.jsonSchema) setForm({ schema: result.jsonSchema, uiSchema: result.uiSchema ?? {} });
  }, [result]);
  // A new type has no name before one is entered.
  const problems = (isChanged ? result?.userErrors : undefined) ?? [];
  const shown = problems.filter(({ path }) => path[1] !== "name" || draft.name !== "");
  const change = (changes: Partial<TypeDraft>) => setDraft((now) => ({ ...now, ...changes }));

  const saving = useMutation({
    mutationFn: async () => {
      if (!stored) {
        const variables = { input: definition };
        const payload = checked((await client.request(CreateEventTypeDocument, variables)).createEventType);
        return payload.eventType!.id;
      }
      const input = { id: stored.id, ifVersion: stored.version, definition };
      checked((await client.request(ReplaceEventTypeDocument, { input })).replaceEventType);
      return stored.id;
    },
    onSuccess: async (id) => {
      await queries.invalidateQueries();
      if (!stored) await navigate(`/event-types/${id}`, { replace: true, state: SAVED });
    },
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    saving.mutate();
  }

  const others = shown.filter(({ path }) => !isAtInput(path));
  const inputText = (name: "name" | "type" | "category", hint?: string) => (
    <TextInput
      label={t[name]}
      description={hint}
      value={draft[name]}
      error={messageAt(shown, name)}
      disabled={isReadOnly}
      required={name === "name"}
      withAsterisk={false}
      onChange={({ currentTarget }) => change({ [name]: currentTarget.value })}
    />
  );
  return (
    <Stack>
      <UnsavedChanges exist={isChanged && !isReadOnly} />
      <Anchor component={Link} to="/event-types" underline="always" size="sm">
        {t.back}
      </Anchor>
      <Group gap="xs">
        <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
          {stored?.name ?? t.newType}
        </Title>
        {stored && (
          <Badge variant="default" tt="none" size="lg">
            {t.stateAndVersion(t.states[stored.state], stored.version)}
          </Badge>
        )}
      </Group>
      {isReadOnly && <Text>{t.needsManage}</Text>}
      {stored && <Lifecycle type={stored} />}
      <Grid>
        <Grid.Col span={{ base: 12, md: 7 }}>
          <form onSubmit={submit} aria-label={t.definition}>
            <Stack>
              {inputText("name")}
              {inputText("type", t.typeHint)}
              {inputText("category", t.categoryHint)}
              <Textarea
                label={t.description}
                value={draft.description}
                error={messageAt(shown, "description")}
                disabled={isReadOnly}
                autosize
                minRows={2}
                onChange={({ currentTarget }) => change({ description: currentTarget.value })}
              />
              <NativeSelect
                label={t.additionalFields}
                value={draft.additionalFields}
                disabled={isReadOnly}
                onChange={({ currentTarget }) =>
                  change({ additionalFields: currentTarget.value as AdditionalFields })
                }
                data={ADDITIONAL.map((value) => ({ value, label: t.additional[value] }))}
              />
              <Title order={2} size="h4">
                {t.fields}
              </Title>
              <Fields
                fields={draft.fields}
                problemOf={(index) => messageAt(shown, "fields", String(index))}
                isReadOnly={isReadOnly}
                onChange={(fields) => change({ fields })}
                onChangeField={(key, changes) => setDraft((now) => changeField(now, key, changes))}
              />
              <Title order={2} size="h4">
                {t.conditionalRules}
              </Title>
              <Rules
                rules={draft.rules}
                fields={draft.fields}
                problemOf={(index) => messageAt(shown, "conditionalRules", String(index))}
                isReadOnly={isReadOnly}
                onChange={(rules) => change({ rules })}
              />
              {!isReadOnly && (
                <>
                  {stored && isChanged && (
                    <section aria-labelledby="next-version">
                      <Title order={2} size="h4" id="next-version">
                        {t.nextVersion(stored.version + 1)}
                      </Title>
                      <Text role="status">
                        {isChecking
                          ? texts.report.checking
                          : (result?.summary ?? (problems.length > 0 ? t.invalid : t.noChange))}
                      </Text>
                      {stored.events && <Text size="sm">{t.keptVersions(stored.events.totalCount)}</Text>}
                    </section>
                  )}
                  {others.map(({ message }) => (
                    <Text key={message} c="var(--mantine-color-error)">
                      {message}
                    </Text>
                  ))}
                  {check.error && <ErrorState title={t.checkFailed} error={check.error} onRetry={() => void check.refetch()} />}
                  <SaveError error={saving.error} />
                  <Group>
                    <Button type="submit" loading={saving.isPending} disabled={stored !== null && !isChanged}>
                      {stored ? t.saveVersion(stored.version + 1) : t.saveDraft}
                    </Button>
                    {stored && isChanged && (
                      <Button variant="default" onClick={() => setDraft(readDraft(stored))}>
                        {t.discard}
                      </Button>
                    )}
                  </Group>
                </>
              )}
            </Stack>
          </form>
        </Grid.Col>
        {form && (
          <Grid.Col span={{ base: 12, md: 5 }}>
            <Preview {...form} />
            <details>
              <summary>{t.jsonSchema}</summary>
              <Code block tabIndex={0}>
                {JSON.stringify(form.schema, null, 2)}
              </Code>
            </details>
          </Grid.Col>
        )}
      </Grid>
      {stored && <Use type={stored} />}
      {stored && <Versions id={stored.id} latest={stored.version} />}
      {stored && <AuditLink id={stored.id} />}
    </Stack>
  );
}
