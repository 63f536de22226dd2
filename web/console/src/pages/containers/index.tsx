// The audit view of containers: their events by activity and outcome, and the events of one container.

import { Anchor, Button, Group, NativeSelect, Stack, Table, Text, Title } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useMemo } from "react";
import { Link } from "react-router";
import { type ContainerActivity, ContainerEventsDocument, type Outcome } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { useAddressParameters, withParameters } from "../../common/address";
import { DebouncedInput } from "../../common/DebouncedInput";
import { PagedList } from "../../common/PagedList";
import { SeverityLabel } from "../../common/severity";
import { Time } from "../../common/time";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.containers;
const HOUR_MS = 3_600_000;
const ACTIVITIES = Object.keys(t.activities) as ContainerActivity[];
const OUTCOMES: Outcome[] = ["SUCCESS", "FAILURE"];
const RANGES = { "24h": 24, "7d": 7 * 24, "30d": 30 * 24 } as const;

const choose = <Value extends string>(values: readonly Value[], text: string | null): Value | null =>
  values.find((value) => value === text) ?? null;

export default function ContainersPage() {
  const [parameters, changeParameters] = useAddressParameters();
  const containerId = parameters.get("container") || null;
  const activity = choose(ACTIVITIES, parameters.get("activity"));
  const outcome = choose(OUTCOMES, parameters.get("outcome"));
  const range = choose(Object.keys(RANGES) as (keyof typeof RANGES)[], parameters.get("range"));
  const occurredAt = useMemo(
    () => (range ? { from: new Date(Date.now() - RANGES[range] * HOUR_MS).toISOString() } : null),
    [range],
  );
  const pages = useApiPages(
    ContainerEventsDocument,
    { containerId, activity, outcome, occurredAt },
    (response) => response.viewer.organization.containerEvents,
  );
  const isFiltered = containerId || activity || outcome || range;
  const isFailedAccess = activity === "ACCESS" && outcome === "FAILURE";

  const change = (changes: Record<string, string>) => changeParameters(withParameters(changes));

  return (
    <Stack>
      <Title order={1} size="h2">
        {containerId ? t.container(containerId) : t.title}
      </Title>
      <Group align="end" gap="xs">
        <DebouncedInput
          type="search"
          label={t.containerId}
          flex="1 1 14rem"
          value={containerId ?? ""}
          onChange={(container) => change({ container })}
          leftSection={<IconSearch size={16} aria-hidden />}
        />
        <NativeSelect
          label={t.activity}
          value={activity ?? ""}
          onChange={({ currentTarget }) => change({ activity: currentTarget.value })}
          data={[
            { value: "", label: t.allActivities },
            ...ACTIVITIES.map((value) => ({ value, label: t.activities[value] })),
          ]}
        />
        <NativeSelect
          label={t.outcome}
          value={outcome ?? ""}
          onChange={({ currentTarget }) => change({ outcome: currentTarget.value })}
          data={[
            { value: "", label: t.allOutcomes },
            ...OUTCOMES.map((value) => ({ value, label: texts.event.outcomes[value] })),
          ]}
        />
        <NativeSelect
          label={texts.events.range}
          value={range ?? ""}
          onChange={({ currentTarget }) => change({ range: currentTarget.value })}
          data={[
            { value: "", label: texts.events.allTime },
            ...(Object.keys(RANGES) as (keyof typeof RANGES)[]).map((value) => ({
              value,
              label: texts.events.ranges[value],
            })),
          ]}
        />
        <Button
          variant={isFailedAccess ? "filled" : "default"}
          aria-pressed={isFailedAccess}
          onClick={() =>
            change(isFailedAccess ? { activity: "", outcome: "" } : { activity: "ACCESS", outcome: "FAILURE" })
          }
        >
          {t.failedAccess}
        </Button>
      </Group>
      <PagedList
        pages={pages}
        empty={
          <Empty title={isFiltered ? t.noneFound : t.none}>{!isFiltered && <Text>{t.noneHint}</Text>}</Empty>
        }
      >
        {(items) => (
          <>
            <Text role="status">{t.count(pages.data!.pages[0]!.totalCount)}</Text>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t.event}</Table.Th>
                  <Table.Th>{t.containerColumn}</Table.Th>
                  <Table.Th visibleFrom="sm">{t.outcome}</Table.Th>
                  <Table.Th visibleFrom="sm">{texts.events.columns.source}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map(({ id, severity, summary, occurredAt: at, outcome: result, source, entity }) => (
                  <Table.Tr key={id}>
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      <Group gap={4} wrap="nowrap" align="start">
                        <SeverityLabel severity={severity} isCompact />
                        <div>
                          <Anchor component={Link} to={`/events/${id}`} underline="always" fz="inherit">
                            {summary}
                          </Anchor>
                          <Text size="sm" c="dimmed">
                            <Time at={at} />
                          </Text>
                        </div>
                      </Group>
                    </Table.Td>
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      {entity && (
                        <Anchor
                          component={Link}
                          underline="always"
                          fz="inherit"
                          to={`/containers?${new URLSearchParams({ container: entity.entityId })}`}
                        >
                          {entity.entityId}
                        </Anchor>
                      )}
                    </Table.Td>
                    <Table.Td visibleFrom="sm">{result && texts.event.outcomes[result]}</Table.Td>
                    <Table.Td visibleFrom="sm" style={{ overflowWrap: "anywhere" }}>
                      {source}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </>
        )}
      </PagedList>
    </Stack>
  );
}
