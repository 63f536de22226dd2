// Retention policies: which events and history are deleted, and after which time.

import { Button, Group, NativeSelect, NumberInput, Stack, Table, Text, TextInput, Title, VisuallyHidden } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useApi } from "../../api/client";
import {
  CountExpiredEventsDocument,
  CreateRetentionPolicyDocument,
  type CreateRetentionPolicyInput,
  DeleteRetentionPolicyDocument,
  RetentionPoliciesDocument,
  type RetentionPoliciesQuery,
  type RetentionTarget,
} from "../../api/generated";
import { useApiPages } from "../../api/pages";
import { Confirm } from "../../common/Confirm";
import { Dialog } from "../../common/Dialog";
import { DURATION_UNITS, formatDuration, writeDuration } from "../../common/duration";
import { Conditions } from "../../common/Conditions";
import { PagedList } from "../../common/PagedList";
import { Time } from "../../common/time";
import { checked, problemsAt } from "../../common/userErrors";
import { SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { FilterEditor } from "../events/FilterEditor";
import { ALL, filterOf } from "../events/view";

const t = texts.retention;
const TARGETS = ["EVENTS", "HISTORY"] as const;
const DEFAULT_DAYS = 90;
const DAY_MS = DURATION_UNITS.days * 1_000;

type Policy = RetentionPoliciesQuery["retentionPolicies"]["nodes"][number];

export function Retention() {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const pages = useApiPages(RetentionPoliciesDocument, {}, (data) => data.retentionPolicies);
  const [isCreating, setIsCreating] = useState(false);
  const [deleted, setDeleted] = useState<Policy | null>(null);
  const deleting = useMutation<void, Error, void>({
    mutationFn: async () => {
      checked((await client.request(DeleteRetentionPolicyDocument, { id: deleted!.id })).deleteRetentionPolicy);
    },
    onSuccess: async () => {
      setDeleted(null);
      await queries.invalidateQueries();
    },
  });

  return (
    <section aria-labelledby="retention">
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={2} size="h4" id="retention">
            {t.title}
          </Title>
          {can("EVENT_DELETE") && (
            <Button leftSection={<IconPlus size={16} />} onClick={() => setIsCreating(true)}>
              {t.create}
            </Button>
          )}
        </Group>
        <Text size="sm" c="dimmed">
          {can("EVENT_DELETE") ? t.hint : t.needsDelete}
        </Text>
        <PagedList pages={pages} empty={<Text>{t.none}</Text>}>
          {(policies) => (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t.name}</Table.Th>
                  <Table.Th>{t.keepFor}</Table.Th>
                  <Table.Th visibleFrom="sm">{t.lastApplied}</Table.Th>
                  <Table.Th>
                    <VisuallyHidden>{texts.actions}</VisuallyHidden>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {policies.map((policy) => (
                  <Table.Tr key={policy.id}>
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      <Text>{policy.name}</Text>
                      <Text size="sm" c="dimmed">
                        {t.targets[policy.target]}
                      </Text>
                      <Conditions filter={policy.filter ?? {}} />
                    </Table.Td>
                    <Table.Td>{formatDuration(policy.keepFor)}</Table.Td>
                    <Table.Td visibleFrom="sm">
                      {policy.lastAppliedAt ? <Time at={policy.lastAppliedAt} /> : t.neverApplied}
                    </Table.Td>
                    <Table.Td ta="end">
                      <Button
                        variant="default"
                        size="xs"
                        aria-label={t.deleteTitle(policy.name)}
                        onClick={() => setDeleted(policy)}
                      >
                        {t.delete}
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </PagedList>
      </Stack>
      {isCreating && <NewPolicy onClose={() => setIsCreating(false)} />}
      <Confirm
        isOpen={deleted !== null}
        onClose={() => setDeleted(null)}
        title={t.deleteTitle(deleted?.name ?? "")}
        action={t.delete}
        mutation={deleting}
      >
        {t.deleteHint}
      </Confirm>
    </section>
  );
}

/** The form of a policy. Before the policy is created, it says how many events would be deleted now. */
function NewPolicy({ onClose }: { onClose: () => void }) {
  const { client, can } = useApi();
  const queries = useQueryClient();
  const [target, setTarget] = useState<RetentionTarget>("EVENTS");
  const [days, setDays] = useState<number | string>(DEFAULT_DAYS);
  const [view, setView] = useState(ALL);
  const [draft, setDraft] = useState<CreateRetentionPolicyInput | null>(null);
  const counting = useMutation<number | null, Error, CreateRetentionPolicyInput>({
    mutationFn: async ({ filter }) => {
      if (!filter || !can("EVENT_READ")) return null;
      const recordedAt = { to: new Date(Date.now() - Number(days) * DAY_MS).toISOString() };
      const variables = { filter: { ...filter, recordedAt } };
      return (await client.request(CountExpiredEventsDocument, variables)).events.totalCount;
    },
    onSuccess: (_, input) => setDraft(input),
  });
  const creating = useMutation<void, Error, CreateRetentionPolicyInput>({
    mutationFn: async (input) => {
      checked((await client.request(CreateRetentionPolicyDocument, { input })).createRetentionPolicy);
    },
    onSuccess: async () => {
      await queries.invalidateQueries();
      onClose();
    },
    onError: () => setDraft(null),
  });
  const error = counting.error ?? creating.error;

  function submit(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    creating.reset();
    counting.mutate({
      name: String(form.get("name")).trim(),
      target,
      keepFor: writeDuration(Number(days), "days"),
      filter: target === "EVENTS" ? filterOf(view, Date.now()) : null,
    });
  }

  return (
    <Dialog isOpen onClose={onClose} title={t.create}>
      <form onSubmit={submit} hidden={draft !== null}>
        <Stack>
          <TextInput
            name="name"
            label={t.name}
            error={problemsAt(creating.error, "name")}
            autoComplete="off"
            required
            withAsterisk={false}
            data-autofocus
          />
          <NativeSelect
            label={t.target}
            value={target}
            onChange={({ currentTarget }) => setTarget(currentTarget.value as RetentionTarget)}
            data={TARGETS.map((value) => ({ value, label: t.targets[value] }))}
          />
          {target === "EVENTS" && (
            <FilterEditor
              view={view}
              onChange={setView}
              hint={t.filterHint}
              error={problemsAt(creating.error, "filter")}
            />
          )}
          <NumberInput
            label={t.days}
            description={t.daysHint}
            value={days}
            min={1}
            allowDecimal={false}
            required
            withAsterisk={false}
            error={problemsAt(creating.error, "keepFor")}
            onChange={setDays}
          />
          <SaveError error={error} />
          <Group>
            <Button type="submit" loading={counting.isPending}>
              {t.next}
            </Button>
          </Group>
        </Stack>
      </form>
      {draft && (
        <Stack>
          <Text role="status">
            {counting.data === null || counting.data === undefined ? t.notCounted : t.wouldDelete(counting.data)}
          </Text>
          <Group>
            <Button color="red.9" loading={creating.isPending} onClick={() => creating.mutate(draft)}>
              {t.confirm}
            </Button>
            <Button variant="default" data-autofocus onClick={() => setDraft(null)}>
              {texts.cancel}
            </Button>
          </Group>
        </Stack>
      )}
    </Dialog>
  );
}
