// The audit trail: who changed what, newest first.

import { Anchor, Group, NativeSelect, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import { Link } from "react-router";
import { type AuditAction, AuditTrailDocument } from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { formatValue } from "../../common/values";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";

const t = texts.administration;
const TYPING_MS = 300;
const ACTIONS = Object.keys(t.actions) as AuditAction[];

export default function AuditPage() {
  const [action, setAction] = useState<AuditAction | "">("");
  const [actorText, setActor] = useState("");
  const [actor] = useDebouncedValue(actorText.trim(), TYPING_MS);
  const filter = { ...(action && { actions: [action] }), ...(actor && { actors: [actor] }) };
  const pages = useApiPages(
    AuditTrailDocument,
    { filter },
    (data) => data.auditEntries,
  );
  return (
    <Stack>
      <Anchor component={Link} to="/administration" underline="always" size="sm">
        {t.title}
      </Anchor>
      <Title order={1} size="h2">
        {t.audit}
      </Title>
      <Group align="end">
        <NativeSelect
          label={t.action}
          value={action}
          onChange={({ currentTarget }) => setAction(currentTarget.value as AuditAction | "")}
          data={[{ value: "", label: t.allActions }, ...ACTIONS.map((value) => ({ value, label: t.actions[value] }))]}
        />
        <TextInput
          label={t.actor}
          description={t.actorHint}
          value={actorText}
          onChange={({ currentTarget }) => setActor(currentTarget.value)}
        />
      </Group>
      <PagedList pages={pages} empty={<Empty title={t.noEntries} />}>
        {(items) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.change}</Table.Th>
                <Table.Th>{t.actor}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((entry) => (
                <Table.Tr key={entry.id}>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Text>{t.entry(t.actions[entry.action], entry.subjectType, entry.subjectName)}</Text>
                    {Object.entries(entry.changes as Record<string, unknown>).map(([name, value]) => (
                      <Text key={name} size="sm" c="dimmed">
                        {`${name}: ${formatChange(value)}`}
                      </Text>
                    ))}
                  </Table.Td>
                  <Table.Td style={{ overflowWrap: "anywhere" }}>
                    <Text>{entry.actor}</Text>
                    <Text size="sm" c="dimmed">
                      <Time at={entry.at} />
                    </Text>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </PagedList>
    </Stack>
  );
}

/** The values before and after a change. */
function formatChange(value: unknown): string {
  if (!Array.isArray(value) || value.length !== 2) return formatValue(value);
  return value.map((each) => formatValue(each) || texts.event.nothing).join(" → ");
}
