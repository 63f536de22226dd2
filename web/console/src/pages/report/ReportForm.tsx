// The form of an event type. The server checks the event while it is filled in.

import { Anchor, Button, Group, Stack, Text, Title } from "@mantine/core";
import { type EventResult, type FieldValues, useEventTypeForm } from "@tocsin/react";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import { ReportedSilenceDocument } from "../../api/generated";
import { isEqual } from "../../common/draft";
import { EventAttributes, isOfAttribute, NO_ATTRIBUTES, toInput } from "../../common/EventAttributes";
import { EventForm, focusProblem } from "../../common/EventForm";
import { JsonFields } from "../../common/JsonFields";
import { Problems } from "../../common/Problems";
import { Time } from "../../common/time";
import { UnsavedChanges } from "../../common/UnsavedChanges";
import { useSession } from "../../session/Session";
import { Empty, ErrorState, Loading } from "../../shell/states";
import { texts } from "../../texts";
import classes from "./index.module.css";

const t = texts.report;

export function ReportForm({ type }: { type: string }) {
  const [values, setValues] = useState(NO_ATTRIBUTES);
  const attributes = useMemo(() => toInput(values), [values]);
  const form = useEventTypeForm(type, { attributes });
  const { eventType, formProps, isChecking, isSubmitting, problems, result, error } = form;
  const { reportError } = useSession();
  const element = useRef<HTMLDivElement>(null);
  // After an attempt to report the event, the reader continues with the first problem.
  const [isSubmitted, setIsSubmitted] = useState(false);
  /** False while the additional fields are not a JSON object. */
  const [hasAdditional, setHasAdditional] = useState(true);

  useEffect(() => reportError(error), [reportError, error]);
  useEffect(() => {
    if (!isSubmitted || isSubmitting) return;
    setIsSubmitted(false);
    focusProblem(element.current);
  }, [isSubmitted, isSubmitting]);

  const properties: Record<string, any> = formProps.schema["properties"] ?? {};
  const isAdditional = (name: string) => !Object.hasOwn(properties, name);
  const isFilled =
    !isEqual(values, NO_ATTRIBUTES) ||
    Object.entries(form.values).some(([name, value]) => !isEqual(value, properties[name]?.default));

  /** Keeps the values of the form, and replaces all others. */
  function changeAdditional(additional: FieldValues | null): void {
    setHasAdditional(additional !== null);
    if (!additional) return;
    const defined = Object.entries(form.values).filter(([name]) => !isAdditional(name));
    form.setValues({ ...Object.fromEntries(defined), ...additional });
  }

  function reportAnother(): void {
    setValues(NO_ATTRIBUTES);
    form.reset();
  }

  if (error && !eventType) return <ErrorState error={error} onRetry={form.reload} />;
  if (!eventType) return <Loading />;
  return (
    <Stack className={classes.form} ref={element}>
      <UnsavedChanges exist={isFilled && result === null} />
      <Stack gap={4}>
        <Title order={1} size="h2">
          {t.formTitle(eventType.name)}
        </Title>
        {eventType.description && <Text>{eventType.description}</Text>}
        <Anchor component={Link} to="/report" underline="always">
          {t.chooseType}
        </Anchor>
      </Stack>
      {result ? (
        <Reported result={result} onAnother={reportAnother} />
      ) : (
        <EventForm
          {...formProps}
          onSubmit={(submitted) => {
            if (hasAdditional) formProps.onSubmit(submitted);
            setIsSubmitted(true);
          }}
        >
          {eventType.additionalFields === "KEEP" && (
            <JsonFields
              label={t.additional}
              description={t.additionalHint}
              initialFields={{}}
              onChange={changeAdditional}
              disabled={isSubmitting}
              error={Object.entries(form.fieldProblems)
                .flatMap(([name, found]) => (isAdditional(name) ? found.map(({ message }) => message) : []))
                .join(" ")}
            />
          )}
          <Title order={2} size="h4">
            {t.attributes}
          </Title>
          <EventAttributes
            values={values}
            onChange={setValues}
            problems={problems}
            defaultSummary={eventType.name}
            disabled={isSubmitting}
          />
          <Check {...form} problems={problems.filter((problem) => !isOfAttribute(problem))} />
          {error && <ErrorState title={t.notSent} error={error} onRetry={form.reload} />}
          <Group>
            <Button type="submit" loading={isSubmitting}>
              {t.submit}
            </Button>
            <Text size="sm" c="dimmed" data-checking={isChecking}>
              {isChecking ? t.checking : form.isValid ? t.valid : t.invalid}
            </Text>
          </Group>
        </EventForm>
      )}
    </Stack>
  );
}

type CheckProps = Pick<ReturnType<typeof useEventTypeForm>, "problems" | "warnings" | "duplicateOf">;

/** What the server would do with the event. */
export function Check({ problems, warnings, duplicateOf }: CheckProps) {
  return (
    <div role="status">
      <Stack>
        <Problems title={t.problems} problems={problems} />
        <Problems title={t.warnings} problems={warnings} isWarning />
        {duplicateOf && (
          <Text>
            {t.duplicateOf}{" "}
            <Anchor component={Link} to={`/events/${duplicateOf.id}`} target="_blank" underline="always">
              {duplicateOf.summary}
            </Anchor>
            {", "}
            <Time at={duplicateOf.occurredAt} />
          </Text>
        )}
      </Stack>
    </div>
  );
}

export function Reported({ result, onAnother }: { result: EventResult; onAnother: () => void }) {
  const { can } = useApi();
  const heading = useRef<HTMLDivElement>(null);
  const { data } = useApiQuery(
    ReportedSilenceDocument,
    { id: result.event?.id ?? "" },
    { isEnabled: Boolean(result.event) && can("EVENT_READ") },
  );
  const silence = data?.event?.silencedBy;
  useEffect(() => heading.current?.focus(), []);
  return (
    <div ref={heading} tabIndex={-1} className={classes.result}>
      <Empty title={result.duplicate ? t.duplicate : t.reported}>
        {silence && (
          <Text role="status">
            {t.silencedBy(silence.comment)} <Time at={silence.endsAt} />.
          </Text>
        )}
        <Problems title={t.warnings} problems={result.warnings.filter(({ code }) => code !== "FIELD_HIDDEN")} isWarning />
        <Group>
          {result.event && can("EVENT_READ") && (
            <Button component={Link} to={`/events/${result.event.id}`}>
              {t.open}
            </Button>
          )}
          <Button variant="default" onClick={onAnother}>
            {t.another}
          </Button>
        </Group>
      </Empty>
    </div>
  );
}
