// The form of an event that has no event type. The server checks the event while it is filled in.

import { Anchor, Button, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation } from "@tanstack/react-query";
import type { FieldValues } from "@tocsin/react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import { CheckReportDocument, type LogEventInput, LogReportDocument } from "../../api/generated";
import { EventAttributes, isOfAttribute, NO_ATTRIBUTES, toInput } from "../../common/EventAttributes";
import { focusProblem } from "../../common/EventForm";
import { JsonFields } from "../../common/JsonFields";
import { UnsavedChanges } from "../../common/UnsavedChanges";
import type { Problem } from "../../common/userErrors";
import { ErrorState, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import classes from "./index.module.css";
import { Check, Reported } from "./ReportForm";

const t = texts.report;
const CHECK_MS = 300;
const DEFAULT_TYPE = "notice";

/** Whether the problem is shown at an input. */
const isAtInput = (problem: Problem): boolean =>
  isOfAttribute(problem) || problem.path[1] === "type" || problem.path[1] === "fields";

export function FreeForm() {
  const [round, setRound] = useState(0);
  return <Form key={round} onAnother={() => setRound(round + 1)} />;
}

function Form({ onAnother }: { onAnother: () => void }) {
  const { client } = useApi();
  const [values, setValues] = useState(NO_ATTRIBUTES);
  const [type, setType] = useState("");
  const [fields, setFields] = useState<FieldValues | null>({});
  // A report that is sent again after a lost response is stored once.
  const [sourceId, setSourceId] = useState(createSourceId);
  const element = useRef<HTMLDivElement>(null);
  const input: LogEventInput = { ...toInput(values), type: type.trim() || null, fields: fields ?? {}, sourceId };
  const content = JSON.stringify({ values, type, fields });
  const [checkedInput] = useDebouncedValue(JSON.stringify(input), CHECK_MS);
  const check = useApiQuery(
    CheckReportDocument,
    { input: JSON.parse(checkedInput) as LogEventInput },
    { keepsPrevious: true },
  );
  const report = useMutation({
    mutationFn: async () => (await client.request(LogReportDocument, { input })).logEvent,
  });
  const { reset } = report;
  useEffect(() => {
    setSourceId(createSourceId());
    reset();
  }, [content, reset]);
  useEffect(() => {
    if (report.data?.userErrors.length) focusProblem(element.current);
  }, [report.data]);

  const result = report.data?.userErrors.length === 0 ? report.data : null;
  const isChanged = content !== JSON.stringify({ values: NO_ATTRIBUTES, type: "", fields: {} });
  const checked = check.data?.checkEvent;
  const isChecking = check.isFetching || JSON.stringify(input) !== checkedInput;
  const problems = report.data?.userErrors ?? checked?.userErrors ?? [];
  const errorOf = (name: string) =>
    problems
      .filter(({ path }) => path[1] === name)
      .map(({ message }) => message)
      .join(" ") || undefined;

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    if (fields) report.mutate();
    else focusProblem(element.current);
  }

  return (
    <Stack className={classes.form} ref={element}>
      <UnsavedChanges exist={isChanged && !result} />
      <Stack gap={4}>
        <Title order={1} size="h2">
          {t.freeForm}
        </Title>
        <Text>{t.freeFormHint}</Text>
        <Anchor component={Link} to="/report" underline="always">
          {t.chooseType}
        </Anchor>
      </Stack>
      {result ? (
        <Reported result={result} onAnother={onAnother} />
      ) : (
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              label={t.type}
              description={t.typeHint}
              value={type}
              error={errorOf("type")}
              disabled={report.isPending}
              onChange={({ currentTarget }) => setType(currentTarget.value)}
            />
            <EventAttributes
              values={values}
              onChange={setValues}
              problems={problems}
              defaultSummary={type.trim() || DEFAULT_TYPE}
              disabled={report.isPending}
            />
            <JsonFields
              label={texts.form.json}
              initialFields={{}}
              onChange={setFields}
              disabled={report.isPending}
              error={errorOf("fields")}
            />
            <Check
              problems={problems.filter((problem) => !isAtInput(problem))}
              warnings={checked?.warnings ?? []}
              duplicateOf={checked?.duplicateOf ?? null}
            />
            {check.error && <ErrorState title={t.notSent} error={check.error} onRetry={() => void check.refetch()} />}
            <SaveError error={report.error} />
            <Group>
              <Button type="submit" loading={report.isPending}>
                {t.submit}
              </Button>
              <Text size="sm" c="dimmed" data-checking={isChecking}>
                {isChecking ? t.checking : checked?.accepted && fields ? t.valid : t.invalid}
              </Text>
            </Group>
          </Stack>
        </form>
      )}
    </Stack>
  );
}

/** `crypto.randomUUID` is not available to pages that are not served over HTTPS. */
const createSourceId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
