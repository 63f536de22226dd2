// The sources of the organization: addresses to which other systems send what becomes events.

import { Anchor, Button, Group, Stack, Table, Text, Title } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { useApi } from "../../api/client";
import { type EventFilter, type SourceRowFragment, SourcesDocument, SourceUseDocument } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.sources;
const REFRESH_MS = 10_000;
// The server allows this number of conditions in a filter.
const MAX_COUNTED = 100;

/** The source that the events of a source have. */
export const uriOf = (id: string): string => `/sources/${id}`;

/** The number of events of each source that was counted, by its URI. Undefined until any is. */
function useEventCounts(sources: readonly SourceRowFragment[]): ReadonlyMap<string, number> | undefined {
  const { client, can } = useApi();
  const uris = sources.slice(0, MAX_COUNTED).map(({ id }) => uriOf(id));
  const filter: EventFilter = { or: uris.map((source) => ({ source })) };
  const { data } = useQuery({
    queryKey: [String(SourceUseDocument), filter],
    queryFn: async ({ signal }) => {
      const { eventCounts } = await client.request(SourceUseDocument, { filter }, { signal });
      const counts = new Map(uris.map((uri) => [uri, 0]));
      for (const { source, count } of eventCounts) counts.set(source!, count);
      return counts;
    },
    enabled: can("EVENT_READ") && uris.length > 0,
    placeholderData: keepPreviousData,
  });
  return data;
}

interface EventCountProps {
  uri: string;
  /** Undefined if the events of the source were not counted. */
  count: number | undefined;
}

function EventCount({ uri, count }: EventCountProps) {
  if (count === undefined) return t.notCounted;
  return (
    <Anchor component={Link} to={`/events?${new URLSearchParams({ source: uri })}`} underline="always" fz="inherit">
      {t.eventCount(count)}
    </Anchor>
  );
}

export default function SourcesPage() {
  const { can } = useApi();
  const pages = useApiPages(SourcesDocument, {}, (data) => data.sources, { refetchMs: REFRESH_MS });
  const counts = useEventCounts(pages.items ?? []);

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} size="h2">
          {t.title}
        </Title>
        {can("EVENT_CREATE") && (
          <Button component={Link} to="/event-sources/new" leftSection={<IconPlus size={16} />}>
            {t.create}
          </Button>
        )}
      </Group>
      {!can("EVENT_CREATE") && <Text>{t.needsCreate}</Text>}
      <PagedList
        pages={pages}
        empty={
          <Empty title={t.none}>
            <Text>{t.noneHint}</Text>
          </Empty>
        }
      >
        {(sources) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.name}</Table.Th>
                <Table.Th visibleFrom="sm">{t.state}</Table.Th>
                <Table.Th>{t.lastReceived}</Table.Th>
                {counts && <Table.Th visibleFrom="sm">{t.events}</Table.Th>}
                <Table.Th>{t.rejected}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {sources.map(({ id, name, kind, enabled, lastReceivedAt, rejectedCount }) => (
                <Table.Tr key={id}>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Anchor component={Link} to={`/event-sources/${id}`} underline="always" fz="inherit">
                      {name}
                    </Anchor>
                    <Text size="sm" c="dimmed">
                      {t.kinds[kind]}
                    </Text>
                  </Table.Td>
                  <Table.Td visibleFrom="sm">{enabled ? t.enabled : t.disabled}</Table.Td>
                  <Table.Td>{lastReceivedAt ? <Time at={lastReceivedAt} /> : t.never}</Table.Td>
                  {counts && (
                    <Table.Td visibleFrom="sm">
                      <EventCount uri={uriOf(id)} count={counts.get(uriOf(id))} />
                    </Table.Td>
                  )}
                  <Table.Td>{rejectedCount.toLocaleString(texts.dateLocale)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
    </Stack>
  );
}
