// The audit trail: who changed what, newest first.

import { Anchor, Group, NativeSelect, Stack, Table, Text, Title } from "@mantine/core";
import { Link } from "react-router";
import { useApi } from "../../api/client";
import { type AuditAction, AuditTrailDocument } from "../../api/generated";
import { useApiPages, useEventTypes } from "../../api/pages";
import { timeOf, useAddressParameters, withParameters } from "../../common/address";
import { DebouncedInput } from "../../common/DebouncedInput";
import { PagedList } from "../../common/PagedList";
import { Time, useTimePreferences } from "../../common/time";
import { TimeInput } from "../../common/TimeInput";
import { Empty } from "../../shell/states";
import { texts } from "../../texts";
import { describeChanges } from "./changes";

const t = texts.administration;
const ACTIONS = Object.keys(t.actions) as AuditAction[];
const TYPES = Object.keys(t.subjectTypes) as SubjectType[];
type SubjectType = keyof typeof t.subjectTypes;

const typeOf = (name: string): string => t.subjectTypes[name as SubjectType] ?? name;

export default function AuditPage() {
  const { can } = useApi();
  const [{ isUtc }] = useTimePreferences();
  const names = { eventTypes: useEventTypes(can("EVENT_READ")), isUtc };
  const [parameters, changeParameters] = useAddressParameters();
  const action = ACTIONS.find((each) => each === parameters.get("action"));
  const type = TYPES.find((each) => each === parameters.get("type"));
  const actor = parameters.get("actor");
  const subject = parameters.get("subject");
  const from = timeOf(parameters.get("from"));
  const to = timeOf(parameters.get("to"));
  const filter = {
    ...(action && { actions: [action] }),
    ...(actor && { actors: [actor] }),
    ...(type && { subjectTypes: [type] }),
    ...(subject && { subjectId: subject }),
    ...((from || to) && { at: { from: from || null, to: to || null } }),
  };
  const pages = useApiPages(AuditTrailDocument, { filter }, (data) => data.auditEntries);
  const change = (changes: Record<string, string>) => changeParameters(withParameters(changes));
  const named = pages.items?.find((entry) => entry.subjectName !== null);
  return (
    <Stack>
      <Anchor component={Link} to="/administration" underline="always" size="sm">
        {t.title}
      </Anchor>
      <Title order={1} size="h2">
        {t.audit}
      </Title>
      <Group align="start">
        <NativeSelect
          label={t.action}
          value={action ?? ""}
          onChange={({ currentTarget }) => change({ action: currentTarget.value })}
          data={[{ value: "", label: t.allActions }, ...ACTIONS.map((value) => ({ value, label: t.actions[value] }))]}
        />
        <NativeSelect
          label={t.subjectType}
          value={type ?? ""}
          onChange={({ currentTarget }) => change({ type: currentTarget.value })}
          data={[{ value: "", label: t.allTypes }, ...TYPES.map((value) => ({ value, label: t.subjectTypes[value] }))]}
        />
        <DebouncedInput
          label={t.actor}
          placeholder={t.actorHint}
          value={actor ?? ""}
          onChange={(value) => change({ actor: value })}
        />
        <Group align="start">
          <TimeInput label={t.from} value={from} onChange={(value) => change({ from: value })} />
          <TimeInput label={t.to} value={to} onChange={(value) => change({ to: value })} />
        </Group>
      </Group>
      {subject && (
        <Text style={{ overflowWrap: "anywhere" }}>
          {t.entriesOf(named ? `${typeOf(named.subjectType)} ${named.subjectName}` : subject)}{" "}
          <Anchor component="button" type="button" underline="always" onClick={() => change({ subject: "" })}>
            {t.allObjects}
          </Anchor>
        </Text>
      )}
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
                    <Text>
                      {`${t.actions[entry.action]}: `}
                      <Anchor component={Link} underline="always" fz="inherit" to={`?subject=${entry.subjectId}`}>
                        {`${typeOf(entry.subjectType)} ${entry.subjectName ?? ""}`.trim()}
                      </Anchor>
                    </Text>
                    {describeChanges(entry, names).map((line) => (
                      <Text key={line} size="sm" c="dimmed">
                        {line}
                      </Text>
                    ))}
                  </Table.Td>
                  <Table.Td miw="8rem" style={{ overflowWrap: "anywhere" }}>
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
