// The list of event types, with the number of events of each.

import { Anchor, Button, Group, NativeSelect, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPlus, IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { Link } from "react-router";
import { useApi, useApiQuery } from "../../api/client";
import { type EventTypeState, EventTypesDocument, EventTypeUseDocument } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { PagedList } from "../../common/PagedList";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.eventTypes;
const SEARCH_MS = 300;
const STATES: EventTypeState[] = ["DRAFT", "PUBLISHED", "DEPRECATED", "ARCHIVED"];

export default function EventTypesPage() {
  const { can } = useApi();
  const [text, setText] = useState("");
  const [search] = useDebouncedValue(text.trim(), SEARCH_MS);
  const [state, setState] = useState<EventTypeState | "">("");
  const filter = { ...(search && { search }), ...(state && { states: [state] }) };
  const pages = useApiPages(
    EventTypesDocument,
    { filter },
    (data) => data.eventTypes,
  );
  const use = useApiQuery(EventTypeUseDocument, {}, { isEnabled: can("EVENT_READ") });
  const counts = new Map(use.data?.eventCounts.map(({ type, count }) => [type, count]));

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} size="h2">
          {t.title}
        </Title>
        {can("EVENT_TYPE_MANAGE") && (
          <Button component={Link} to="/event-types/new" leftSection={<IconPlus size={16} />}>
            {t.newType}
          </Button>
        )}
      </Group>
      {!can("EVENT_TYPE_MANAGE") && <Text>{t.needsManage}</Text>}
      <Group align="end">
        <TextInput
          type="search"
          label={texts.events.search}
          flex="1 1 14rem"
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
          leftSection={<IconSearch size={16} aria-hidden />}
        />
        <NativeSelect
          label={t.state}
          value={state}
          onChange={({ currentTarget }) => setState(currentTarget.value as EventTypeState | "")}
          data={[{ value: "", label: t.allStates }, ...STATES.map((value) => ({ value, label: t.states[value] }))]}
        />
      </Group>
      <PagedList
        pages={pages}
        empty={
          search || state ? (
            <Empty title={t.noneFound} />
          ) : (
            <Empty title={t.none}>
              <Text>{t.noneHint}</Text>
            </Empty>
          )
        }
      >
        {(items) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.name}</Table.Th>
                <Table.Th visibleFrom="sm">{t.category}</Table.Th>
                <Table.Th>{t.state}</Table.Th>
                <Table.Th visibleFrom="sm">{t.version}</Table.Th>
                {use.data && <Table.Th>{t.events}</Table.Th>}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map(({ id, type, name, category, state: current, version }) => (
                <Table.Tr key={id}>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Anchor component={Link} to={`/event-types/${id}`} underline="always" fz="inherit">
                      {name}
                    </Anchor>
                    <Text size="sm" c="dimmed">
                      {type}
                    </Text>
                  </Table.Td>
                  <Table.Td visibleFrom="sm" style={{ overflowWrap: "anywhere" }}>
                    {category}
                  </Table.Td>
                  <Table.Td>{t.states[current]}</Table.Td>
                  <Table.Td visibleFrom="sm">{version}</Table.Td>
                  {use.data && <Table.Td>{(counts.get(type) ?? 0).toLocaleString(texts.dateLocale)}</Table.Td>}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
    </Stack>
  );
}
