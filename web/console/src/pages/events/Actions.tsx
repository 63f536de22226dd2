// Actions on many events. Each says how many events it will change before it does.

import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconChecks, IconDownload, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { useApi } from "../../api/client";
import {
  AcknowledgeSelectedDocument,
  DeleteSelectedDocument,
  EventCountDocument,
  type EventFilter,
  type EventOrder,
} from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { checked } from "../../common/userErrors";
import { ErrorState, Loading } from "../../shell/states";
import { texts } from "../../texts";
import { download, formatCsv, loadEvents, MAX_EXPORTED } from "./csv";

const t = texts.events;

interface SelectionProps {
  ids: readonly string[];
  onDone: () => void;
}

export function SelectionActions({ ids, onDone }: SelectionProps) {
  const { client, can } = useApi();
  const [isDeleting, setIsDeleting] = useState(false);
  const [isAcknowledging, setIsAcknowledging] = useState(false);
  const queries = useQueryClient();
  const finish = () => {
    void queries.invalidateQueries();
    setIsDeleting(false);
    setIsAcknowledging(false);
    onDone();
  };
  const acknowledge = useMutation({
    mutationFn: async (note: string | null) =>
      checked(
        (await client.request(AcknowledgeSelectedDocument, { ids: [...ids], note })).acknowledgeEvents,
      ),
    onSuccess: finish,
  });
  const remove = useMutation({
    mutationFn: async () =>
      checked(
        (
          await client.request(DeleteSelectedDocument, {
            filter: { ids: [...ids] },
            expectedCount: ids.length,
          })
        ).deleteEvents,
      ),
    onSuccess: finish,
  });
  if (ids.length === 0) return null;

  function submitNote(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const note = String(new FormData(event.currentTarget).get("note") ?? "").trim();
    acknowledge.mutate(note || null);
  }

  return (
    <Group gap="xs" role="group" aria-label={t.selected(ids.length)}>
      <Text size="sm">{t.selected(ids.length)}</Text>
      {can("EVENT_UPDATE") && (
        <Button
          size="xs"
          leftSection={<IconChecks size={16} />}
          onClick={() => setIsAcknowledging(true)}
        >
          {t.acknowledge}
        </Button>
      )}
      {can("EVENT_DELETE") && (
        <Button
          size="xs"
          color="red.9"
          leftSection={<IconTrash size={16} />}
          onClick={() => setIsDeleting(true)}
        >
          {t.delete}
        </Button>
      )}
      <Button size="xs" variant="default" onClick={onDone}>
        {t.clearSelection}
      </Button>
      <Dialog isOpen={isAcknowledging} onClose={() => setIsAcknowledging(false)} title={t.acknowledgeTitle(ids.length)}>
        <form onSubmit={submitNote}>
          <Stack>
            {acknowledge.error && <ErrorState error={acknowledge.error} />}
            <TextInput name="note" label={t.note} maxLength={1000} data-autofocus />
            <Button type="submit" loading={acknowledge.isPending}>
              {t.acknowledge}
            </Button>
          </Stack>
        </form>
      </Dialog>
      <Dialog isOpen={isDeleting} onClose={() => setIsDeleting(false)} title={t.deleteTitle(ids.length)}>
        <Stack>
          {remove.error && <ErrorState error={remove.error} />}
          <Text>{t.deleteWarning}</Text>
          <Group>
            <Button color="red.9" loading={remove.isPending} onClick={() => remove.mutate()}>
              {t.deleteTitle(ids.length)}
            </Button>
            <Button variant="default" data-autofocus onClick={() => setIsDeleting(false)}>
              {t.cancel}
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </Group>
  );
}

interface ExportProps {
  filter: EventFilter;
  orderBy: EventOrder;
}

/** Exports the events of the view as CSV, after it has counted them. */
export function ExportButton({ filter, orderBy }: ExportProps) {
  const { client } = useApi();
  const [isOpen, setIsOpen] = useState(false);
  const [loaded, setLoaded] = useState(0);
  const abort = useRef<AbortController>(null);
  const count = useMutation({
    mutationFn: async () => (await client.request(EventCountDocument, { filter })).events.totalCount,
  });
  const run = useMutation({
    mutationFn: async () => {
      abort.current = new AbortController();
      setLoaded(0);
      const { signal } = abort.current;
      const events = await loadEvents(client, filter, orderBy, setLoaded, signal);
      download("events.csv", formatCsv(events), "text/csv");
    },
    onSuccess: () => setIsOpen(false),
  });

  function open(): void {
    setIsOpen(true);
    run.reset();
    count.mutate();
  }

  function close(): void {
    abort.current?.abort();
    setIsOpen(false);
  }

  const total = count.data ?? 0;
  return (
    <>
      <Button variant="default" leftSection={<IconDownload size={16} />} onClick={open}>
        {t.export}
      </Button>
      <Dialog isOpen={isOpen} onClose={close} title={t.export}>
        <Stack>
          {count.isPending && <Loading />}
          {(count.error ?? run.error) && <ErrorState error={count.error ?? run.error} />}
          {count.isSuccess && (
            <>
              <Text>{t.exportCount(total)}</Text>
              {total > MAX_EXPORTED && <Text>{t.exportLimit(MAX_EXPORTED)}</Text>}
              {run.isPending && <Text role="status">{t.exported(loaded)}</Text>}
              <Button disabled={total === 0} loading={run.isPending} onClick={() => run.mutate()}>
                {t.exportTitle(Math.min(total, MAX_EXPORTED))}
              </Button>
            </>
          )}
        </Stack>
      </Dialog>
    </>
  );
}
