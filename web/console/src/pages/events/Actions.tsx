// Actions on many events. Each says how many events it will change before it does.

import { Button, Group, List, Stack, Text } from "@mantine/core";
import { IconChecks, IconCircleCheck, IconDownload, IconLink, IconRotate, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useApi } from "../../api/client";
import {
  AcknowledgeSelectedDocument,
  DeleteSelectedDocument,
  EventCountDocument,
  type EventFilter,
  type EventOrder,
  ReopenSelectedDocument,
  ResolveSelectedDocument,
} from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { NoteDialog } from "../../common/NoteDialog";
import { checked, type Problem } from "../../common/userErrors";
import { ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { CorrelateDialog } from "./CorrelateDialog";
import classes from "./index.module.css";
import { download, formatCsv, loadEvents, MAX_EXPORTED } from "./csv";

const t = texts.events;
const MAX_FILTER_IDS = 100;

interface SelectionProps {
  events: readonly { id: string; summary: string }[];
  filter: EventFilter;
  /** All events of the filter are selected, whether or not they are loaded. */
  isWhole: boolean;
  /** Null if all events of the filter are selected or loaded. */
  onSelectWhole: (() => void) | null;
  onDone: () => void;
}

type Action = "acknowledge" | "resolve" | "reopen" | "delete";

export function SelectionActions({ events, filter, isWhole, onSelectWhole, onDone }: SelectionProps) {
  const { client, can } = useApi();
  const ids = events.map(({ id }) => id);
  const [action, setAction] = useState<Action | null>(null);
  const [isLinking, setIsLinking] = useState(false);
  const queries = useQueryClient();
  const counting = useMutation({
    mutationFn: async (next: Action) => {
      // Events that are logged later are not changed.
      const counted: EventFilter = { recordedAt: { to: new Date().toISOString() } };
      if (next === "acknowledge") counted.acknowledged = false;
      // With a filter, the server resolves notifications only.
      if (next === "resolve") counted.statuses = ["OPEN", "ACKNOWLEDGED"];
      if (next === "reopen") counted.statuses = ["RESOLVED"];
      const selected = { and: [filter, counted] };
      const response = await client.request(EventCountDocument, { filter: selected });
      return { filter: selected, count: response.events.totalCount };
    },
  });
  const count = isWhole ? (counting.data?.count ?? 0) : ids.length;
  const change = useMutation({
    mutationFn: async (note: string | null) => {
      const selected = isWhole ? counting.data!.filter : null;
      const conflicts: Problem[] = [];
      /** Throws the problems of the call. Those of single events are listed when the others are changed. */
      function collect(problems: readonly Problem[]): void {
        const isOfEvent = ({ path }: Problem) => path[0] === "ids" && path.length > 1;
        checked({ userErrors: problems.filter((problem) => !isOfEvent(problem)) });
        for (const problem of problems.filter(isOfEvent)) {
          const { summary } = events[Number(problem.path[1])]!;
          const reason = problem.code === "NOT_FOUND" ? t.deletedMeanwhile : problem.message;
          conflicts.push({ ...problem, message: `${summary}: ${reason}` });
        }
      }
      if (action === "delete" && !selected) {
        // A filter has a limited number of IDs. Other users may have deleted some of the events.
        for (let start = 0; start < ids.length; start += MAX_FILTER_IDS) {
          const filter: EventFilter = { ids: ids.slice(start, start + MAX_FILTER_IDS) };
          const expectedCount = (await client.request(EventCountDocument, { filter })).events.totalCount;
          const { deleteEvents } = await client.request(DeleteSelectedDocument, { filter, expectedCount });
          checked(deleteEvents);
        }
        return conflicts;
      }
      // One call changes a limited number of events.
      for (let remaining = count; remaining > 0; ) {
        if (action === "delete") {
          const variables = { filter: selected!, expectedCount: remaining };
          const { deleteEvents } = await client.request(DeleteSelectedDocument, variables);
          remaining = checked(deleteEvents).remainingCount;
        } else if (action === "resolve") {
          const variables = { ids: selected ? null : [...ids], filter: selected, note };
          const { resolveEvents } = await client.request(ResolveSelectedDocument, variables);
          collect(resolveEvents.userErrors);
          remaining = resolveEvents.remainingCount;
        } else if (action === "reopen") {
          const variables = { ids: selected ? null : [...ids], filter: selected };
          const { reopenEvents } = await client.request(ReopenSelectedDocument, variables);
          collect(reopenEvents.userErrors);
          remaining = reopenEvents.remainingCount;
        } else {
          const variables = { ids: selected ? null : [...ids], filter: selected, note };
          const { acknowledgeEvents } = await client.request(AcknowledgeSelectedDocument, variables);
          collect(acknowledgeEvents.userErrors);
          remaining = acknowledgeEvents.remainingCount;
        }
      }
      return conflicts;
    },
    // Also after an error: some events may have been changed.
    onSettled: () => void queries.invalidateQueries(),
    onSuccess: () => {
      setAction(null);
      onDone();
    },
  });
  if (ids.length === 0) return <Conflicts problems={change.data ?? []} onClose={change.reset} />;

  function open(next: Action): void {
    change.reset();
    setAction(next);
    if (isWhole) counting.mutate(next);
  }

  const selected = isWhole ? t.wholeSelected : t.selected(ids.length);
  const isCounted = !isWhole || counting.isSuccess;
  const isOpen = isCounted && count > 0;
  return (
    <Group gap="xs" role="group" aria-label={selected} className={classes.selection}>
      <Text size="sm">{selected}</Text>
      {onSelectWhole && (
        <Button size="xs" variant="default" onClick={onSelectWhole}>
          {t.selectWhole}
        </Button>
      )}
      {can("EVENT_UPDATE") && (
        <Button size="xs" leftSection={<IconChecks size={16} />} loading={counting.isPending} onClick={() => open("acknowledge")}>
          {t.acknowledge}
        </Button>
      )}
      {can("EVENT_UPDATE") && (
        <Button size="xs" leftSection={<IconCircleCheck size={16} />} loading={counting.isPending} onClick={() => open("resolve")}>
          {t.resolve}
        </Button>
      )}
      {can("EVENT_UPDATE") && (
        <Button size="xs" variant="default" leftSection={<IconRotate size={16} />} loading={counting.isPending} onClick={() => open("reopen")}>
          {t.reopen}
        </Button>
      )}
      {can("EVENT_UPDATE") && !isWhole && ids.length > 1 && (
        <Button size="xs" variant="default" leftSection={<IconLink size={16} />} onClick={() => setIsLinking(true)}>
          {t.correlate}
        </Button>
      )}
      {can("EVENT_DELETE") && (
        <Button size="xs" color="red.9" leftSection={<IconTrash size={16} />} onClick={() => open("delete")}>
          {t.delete}
        </Button>
      )}
      <Button size="xs" variant="default" onClick={onDone}>
        {t.clearSelection}
      </Button>
      {isLinking && ids.length > 1 && (
        <CorrelateDialog
          events={events}
          onClose={() => setIsLinking(false)}
          onDone={() => {
            setIsLinking(false);
            void queries.invalidateQueries();
            onDone();
          }}
        />
      )}
      <NoteDialog
        isOpen={action === "acknowledge" && isOpen}
        onClose={() => setAction(null)}
        title={t.acknowledgeTitle(count)}
        action={t.acknowledge}
        onSubmit={change.mutate}
        isPending={change.isPending}
        error={change.error}
      />
      <NoteDialog
        isOpen={action === "resolve" && isOpen}
        onClose={() => setAction(null)}
        title={t.resolveTitle(count)}
        action={t.resolve}
        onSubmit={change.mutate}
        isPending={change.isPending}
        error={change.error}
      />
      <Dialog
        isOpen={action === "reopen" && isOpen}
        onClose={() => setAction(null)}
        title={t.reopenTitle(count)}
      >
        <Stack>
          <SaveError error={change.error} />
          <Text>{t.reopenHint}</Text>
          <Group>
            <Button data-autofocus loading={change.isPending} onClick={() => change.mutate(null)}>
              {t.reopen}
            </Button>
            <Button variant="default" onClick={() => setAction(null)}>
              {t.cancel}
            </Button>
          </Group>
        </Stack>
      </Dialog>
      <Dialog
        isOpen={action === "delete" && isOpen}
        onClose={() => setAction(null)}
        title={t.deleteTitle(count)}
      >
        <Stack>
          <SaveError error={change.error} />
          <Text>{t.deleteWarning}</Text>
          <Group>
            <Button color="red.9" loading={change.isPending} onClick={() => change.mutate(null)}>
              {t.deleteTitle(count)}
            </Button>
            <Button variant="default" data-autofocus onClick={() => setAction(null)}>
              {t.cancel}
            </Button>
          </Group>
        </Stack>
      </Dialog>
      <Dialog
        isOpen={action !== null && !isOpen && !counting.isPending}
        onClose={() => setAction(null)}
        title={selected}
      >
        {counting.error ? (
          <ErrorState error={counting.error} onRetry={() => open(action!)} />
        ) : (
          <Text>{t.nothingToChange}</Text>
        )}
      </Dialog>
    </Group>
  );
}

interface ConflictsProps {
  problems: readonly Problem[];
  onClose: () => void;
}

/** The selected events that were not changed. The others were. */
function Conflicts({ problems, onClose }: ConflictsProps) {
  if (problems.length === 0) return null;
  const isResolved = problems.every(({ code }) => code === "CONFLICT");
  return (
    <Dialog isOpen onClose={onClose} title={(isResolved ? t.stayResolved : t.notChanged)(problems.length)}>
      <Stack>
        <List>
          {problems.map(({ message }, index) => (
            <List.Item key={index}>{message}</List.Item>
          ))}
        </List>
        <Group>
          <Button variant="default" data-autofocus onClick={onClose}>
            {texts.close}
          </Button>
        </Group>
      </Stack>
    </Dialog>
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
