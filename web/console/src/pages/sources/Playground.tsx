// What a sample of a payload would become, by the mapping as it is being edited.

import { Code, JsonInput, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";
import { useApiQuery } from "../../api/client";
import { type SourceKind, type SourceMappingInput, TrySourceDocument, type TrySourceQuery } from "../../api/generated";
import type { ExpressionProblem } from "../../common/cel/CelEditor";
import { Problems } from "../../common/Problems";
import { SEVERITIES, SeverityLabel } from "../../common/severity";
import { ErrorState, Loading } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.sources;
const TRIAL_MS = 400;
const ERROR_POSITION = /\(?line (\d+) column (\d+)\)?/;

type TrialProblem = TrySourceQuery["trySource"]["userErrors"][number];

export interface ParsedSample {
  /** Undefined if the text is not JSON. */
  value: unknown;
  error?: string;
}

/** Parses a sample. The error has line and column, as browsers name them. */
export function parseSample(text: string): ParsedSample {
  try {
    const value: unknown = JSON.parse(text);
    return value === null ? { value, error: t.nullSample } : { value };
  } catch (error) {
    const { message } = error as Error;
    const position = ERROR_POSITION.exec(message);
    const explained = position ? texts.cel.problem(Number(position[1]), Number(position[2]), message) : message;
    return { value: undefined, error: t.invalidSample(explained) };
  }
}

/** Tries the mapping with the sample as soon as the user stops typing. */
export function useTrial(kind: SourceKind, mapping: SourceMappingInput | null, sample: ParsedSample) {
  const current = JSON.stringify({ kind, mapping, body: sample.value ?? null });
  const [tried] = useDebouncedValue(current, TRIAL_MS);
  const { data, error, isPlaceholderData, refetch } = useApiQuery(
    TrySourceDocument,
    JSON.parse(tried) as { kind: SourceKind; mapping: SourceMappingInput | null; body: unknown },
    { isEnabled: (JSON.parse(tried) as { body: unknown }).body !== null, keepsPrevious: true },
  );
  const trial = data?.trySource;
  const isCurrent = tried === current && !isPlaceholderData;
  /** The problems of each expression. */
  const expressionProblems = useMemo(() => {
    const found = new Map<string, ExpressionProblem[]>();
    if (!isCurrent) return found;
    for (const problem of trial?.userErrors ?? []) {
      const attribute = attributeOf(problem);
      if (attribute === null) continue;
      const located = { line: 1, column: 1, ...problem };
      found.set(attribute, [...(found.get(attribute) ?? []), located]);
    }
    return found;
  }, [trial, isCurrent]);
  return { trial, error, isCurrent, expressionProblems, refetch };
}

/** The attribute whose expression has the problem. */
const attributeOf = ({ path }: TrialProblem): string | null =>
  path[0] === "mapping" && path[1] !== undefined ? path[1] : null;

interface Props {
  sample: string;
  onSample: (sample: string) => void;
  parsed: ParsedSample;
  trial: ReturnType<typeof useTrial>;
  /** The editor of the mapping. */
  children?: ReactNode;
}

export function Playground({ sample, onSample, parsed, trial, children }: Props) {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="xl">
      <Stack miw={0}>
        <JsonInput
          label={t.sample}
          description={t.sampleHint}
          autosize
          minRows={4}
          maxRows={20}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          value={sample}
          onChange={onSample}
          error={parsed.error}
        />
        {children}
      </Stack>
      <section aria-labelledby="trial">
        <Stack gap="xs" miw={0}>
          <Title order={2} size="h4" id="trial">
            {t.trial}
          </Title>
          {parsed.error === undefined && <Result trial={trial} />}
        </Stack>
      </section>
    </SimpleGrid>
  );
}

function Result({ trial: { trial, error, isCurrent, refetch } }: Pick<Props, "trial">) {
  if (error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  if (!trial) return <Loading />;
  const others = trial.userErrors.filter((problem) => attributeOf(problem) === null);
  const summaries = trial.events as Record<string, unknown>[];
  return (
    <>
      <Text role="status" data-current={isCurrent}>
        {isCurrent ? t.wouldBecome(summaries.length, trial.userErrors.length) : t.trying}
      </Text>
      <Problems
        title={t.trialProblems}
        problems={others.map((problem) => ({ ...problem, message: locate(problem) }))}
      />
      {summaries.map((event, index) => (
        <Stack key={index} gap={4}>
          <Text fw={500} style={{ overflowWrap: "anywhere" }}>
            <EventLine event={event} />
          </Text>
          <Code block tabIndex={0} role="group" aria-label={t.eventNumber(index + 1)} style={{ overflow: "auto" }}>
            {JSON.stringify(event, null, 2)}
          </Code>
        </Stack>
      ))}
    </>
  );
}

const locate = ({ path, message }: TrialProblem): string =>
  path.length > 0 ? `${path.join(".")}: ${message}` : message;

/** The event in one line. A resolution and an acknowledgement have no summary. */
function EventLine({ event }: { event: Record<string, unknown> }) {
  const severity = SEVERITIES.find((each) => each === event.severity);
  if (event.summary === undefined) {
    const key = String(event.alertKey);
    return event.resolved ? t.resolves(key) : t.acknowledges(key);
  }
  return (
    <>
      {severity && <SeverityLabel severity={severity} />} {String(event.summary)}
    </>
  );
}
