// The channels of the organization: addresses to which the server sends notifications.

import { Alert, Anchor, Button, Group, Stack, Table, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import { ChannelProblemsDocument, type ChannelRowFragment, ChannelsDocument } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { formatDuration } from "../../common/duration";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";
import { ChannelForm } from "./ChannelForm";

const t = texts.channels;
const REFRESH_MS = 10_000;

export default function ChannelsPage() {
  const { can } = useApi();
  const pages = useApiPages(ChannelsDocument, {}, (data) => data.channels, { refetchMs: REFRESH_MS });
  const { data: problems } = useApiQuery(ChannelProblemsDocument, {}, { refetchMs: REFRESH_MS });
  const [isCreating, setIsCreating] = useState(false);

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} size="h2">
          {t.title}
        </Title>
        {can("EVENT_READ") && !problems?.webhook && (
          <Button leftSection={<IconPlus size={16} />} onClick={() => setIsCreating(true)}>
            {t.create}
          </Button>
        )}
      </Group>
      {!can("EVENT_READ") && <Text>{t.needsRead}</Text>}
      {problems?.webhook && (
        <Alert variant="default" role="status" icon={<IconAlertTriangle />} title={t.notCreated}>
          {problems.webhook}
        </Alert>
      )}
      <PagedList
        pages={pages}
        empty={
          <Empty title={t.none}>
            <Text>{t.noneHint}</Text>
          </Empty>
        }
      >
        {(channels) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.name}</Table.Th>
                <Table.Th visibleFrom="sm">{t.triggers}</Table.Th>
                <Table.Th>{t.state}</Table.Th>
                <Table.Th visibleFrom="sm">{t.lag}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {channels.map((channel) => (
                <Table.Tr key={channel.id}>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Anchor component={Link} to={`/channels/${channel.id}`} underline="always" fz="inherit">
                      {channel.name}
                    </Anchor>
                    <Text size="sm" c="dimmed">
                      {channel.url}
                    </Text>
                  </Table.Td>
                  <Table.Td visibleFrom="sm">
                    {channel.triggers.map((trigger) => t.triggerNames[trigger]).join(", ")}
                  </Table.Td>
                  <Table.Td>
                    <State channel={channel} />
                  </Table.Td>
                  <Table.Td visibleFrom="sm">{formatDuration(`PT${channel.lagSeconds}S`)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
      {isCreating && <ChannelForm channel={null} appriseProblem={problems?.apprise} onClose={() => setIsCreating(false)} />}
    </Stack>
  );
}

/** Whether the channel delivers, in words. */
export function State({ channel }: { channel: Pick<ChannelRowFragment, "enabled" | "failingSince"> }) {
  if (!channel.enabled) return t.disabled;
  if (!channel.failingSince) return t.delivers;
  return (
    <>
      {t.failingSince} <Time at={channel.failingSince} />
    </>
  );
}
