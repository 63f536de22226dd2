// The events that are linked to an event, with the links between them.

import { ActionIcon, Anchor, Button, Group, NativeSelect, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { IconUnlink } from "@tabler/icons-react";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { Link } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import {
  CorrelateEventsDocument,
  EventCorrelationsDocument,
  EventMatchesDocument,
  type Relation,
  UncorrelateEventsDocument,
} from "../../api/generated";
import { SeverityLabel } from "../../common/severity";
import { Time } from "../../common/time";
import { checked } from "../../common/userErrors";
import { ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";

const Graph = lazy(() => import("./Graph"));

const t = texts.event;
const RELATIONS: Relation[] = ["CAUSED_BY", "CAUSE_OF", "RELATED"];
const DEPTHS = [1, 2, 3, 4, 5];
const SEARCH_MS = 300;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Returns the ID in an ID or in the link of the page of an event. */
function idOf(text: string): string | null {
  const id = text.trim().split("/").at(-1)!;
  return UUID.test(id) ? id : null;
}

export function Correlations({ id }: { id: string }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const [depth, setDepth] = useState(1);
  const [isGraph, setIsGraph] = useState(false);
  const [isNoId, setIsNoId] = useState(false);
  const [text, setText] = useState("");
  const [relation, setRelation] = useState(RELATIONS[0]!);
  const { data, error, refetch } = useApiQuery(
    EventCorrelationsDocument,
    { id, depth },
    { keepsPrevious: true },
  );
  const refresh = () => queries.invalidateQueries();
  const add = useMutation({
    mutationFn: async ({ from = id, related, relation }: { from?: string; related: string; relation: Relation }) =>
      checked(
        (await client.request(CorrelateEventsDocument, { eventId: from, relatedIds: [related], relation }))
          .correlateEvents,
      ),
    onSuccess: refresh,
  });
  const remove = useMutation({
    mutationFn: async ({ from = id, related }: { from?: string; related: string }) =>
      checked(
        (await client.request(UncorrelateEventsDocument, { eventId: from, relatedIds: [related] }))
          .uncorrelateEvents,
      ),
    onSuccess: refresh,
  });

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const related = idOf(text);
    setIsNoId(!related);
    if (related) link(related);
  }

  const link = (related: string) => add.mutate({ related, relation }, { onSuccess: () => setText("") });

  const correlations = data?.event?.correlations;
  return (
    <section aria-labelledby="event-correlations">
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={2} size="h4" id="event-correlations">
            {t.correlations}
          </Title>
          {correlations && correlations.totalCount > 0 && (
            <Group gap="xs">
              <Button variant="default" aria-expanded={isGraph} onClick={() => setIsGraph(!isGraph)}>
                {isGraph ? t.hideGraph : t.showGraph}
              </Button>
              <NativeSelect
                aria-label={t.depth}
                value={String(depth)}
                onChange={({ currentTarget }) => setDepth(Number(currentTarget.value))}
                data={DEPTHS.map((each) => ({ value: String(each), label: t.depths(each) }))}
              />
            </Group>
          )}
        </Group>
        {error && <ErrorState error={error} onRetry={() => void refetch()} />}
        {!data && !error && <Loading />}
        {correlations?.nodes.length === 0 && <Text>{t.noCorrelations}</Text>}
        {isGraph && correlations && correlations.totalCount > 0 && (
          <Suspense fallback={<Loading />}>
            <Graph
              id={id}
              depth={depth}
              onAdd={can("EVENT_UPDATE") ? (from, related) => add.mutate({ from, related, relation: "CAUSE_OF" }) : null}
              onRemove={can("EVENT_UPDATE") ? (from, related) => remove.mutate({ from, related }) : null}
            />
          </Suspense>
        )}
        {correlations && correlations.nodes.length > 0 && (
          <Table>
            <Table.Tbody>
              {correlations.nodes.map(({ event, relation, depth: distance }) => (
                <Table.Tr key={event.id}>
                  <Table.Td>{t.relations[relation]}</Table.Td>
                  <Table.Td>
                    <SeverityLabel severity={event.severity} isCompact />
                  </Table.Td>
                  <Table.Td>
                    <Anchor component={Link} underline="always" fz="inherit" to={`/events/${event.id}`}>
                      {event.summary}
                    </Anchor>
                    <Text size="sm" c="dimmed">
                      <Time at={event.occurredAt} />
                      {distance > 1 && `, ${t.links(distance)}`}
                    </Text>
                  </Table.Td>
                  <Table.Td>
                    {distance === 1 && can("EVENT_UPDATE") && (
                      <ActionIcon
                        variant="default"
                        aria-label={t.unlink(event.summary)}
                        title={t.unlink(event.summary)}
                        onClick={() => remove.mutate({ related: event.id })}
                      >
                        <IconUnlink size={16} />
                      </ActionIcon>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
        <SaveError error={add.error ?? remove.error} />
        {can("EVENT_UPDATE") && (
          <form onSubmit={submit} aria-label={t.addCorrelation}>
            <Group align="end" gap="xs">
              <NativeSelect
                label={t.relation}
                value={relation}
                onChange={({ currentTarget }) => setRelation(currentTarget.value as Relation)}
                data={RELATIONS.map((value) => ({ value, label: t.relations[value] }))}
              />
              <TextInput
                label={t.otherEvent}
                placeholder={t.otherEventHint}
                value={text}
                onChange={({ currentTarget }) => {
                  setText(currentTarget.value);
                  setIsNoId(false);
                }}
                required
                withAsterisk={false}
                autoComplete="off"
                error={isNoId && t.notAnId}
                flex="1 1 14rem"
              />
              <Button type="submit" variant="default" loading={add.isPending}>
                {t.addCorrelation}
              </Button>
            </Group>
          </form>
        )}
        {can("EVENT_UPDATE") && <Matches id={id} text={text} isPending={add.isPending} onChoose={link} />}
      </Stack>
    </section>
  );
}

interface MatchesProps {
  /** The event to which the chosen one is linked. */
  id: string;
  text: string;
  isPending: boolean;
  onChoose: (id: string) => void;
}

/** The latest events with the words. */
function Matches({ id, text, isPending, onChoose }: MatchesProps) {
  const [words] = useDebouncedValue(text.trim(), SEARCH_MS);
  const isSearch = /[\p{L}\p{N}]/u.test(words) && !idOf(words);
  // The last word may not be complete.
  const search = /[a-z0-9]$/i.test(words) ? `${words}*` : words;
  const { data, error, failureReason, isPlaceholderData, refetch } = useApiQuery(
    EventMatchesDocument,
    { filter: { search, not: { ids: [id] } } },
    { isEnabled: isSearch, keepsPrevious: true },
  );
  // A search that is tried again shows why, instead of the matches of other words.
  const problem = error ?? (isPlaceholderData ? failureReason : null);
  if (!isSearch || !text.trim()) return null;
  if (problem) return <ErrorState error={problem} onRetry={() => void refetch()} />;
  if (!data) return null;
  const { nodes } = data.events;
  return (
    <Stack gap={4} role="group" aria-label={t.matches}>
      <Text role="status" size="sm">
        {nodes.length === 0 ? t.noMatch : t.matches}
      </Text>
      {nodes.map(({ id: matchId, severity, summary, occurredAt }) => (
        <Group key={matchId} gap="xs" wrap="nowrap">
          <SeverityLabel severity={severity} isCompact />
          <div style={{ flex: 1, minWidth: 0, overflowWrap: "anywhere" }}>
            <Anchor component={Link} underline="always" fz="inherit" to={`/events/${matchId}`} target="_blank">
              {summary}
            </Anchor>
            <Text size="sm" c="dimmed">
              <Time at={occurredAt} />
            </Text>
          </div>
          <Button
            size="xs"
            variant="default"
            aria-label={t.linkTo(summary)}
            disabled={isPending}
            onClick={() => onChoose(matchId)}
          >
            {t.addCorrelation}
          </Button>
        </Group>
      ))}
    </Stack>
  );
}
