// The list of events: filtered, searched, ordered, and kept up to date.

import { Anchor, Button, Group, Kbd, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useMutation } from "@tanstack/react-query";
import { useLiveEvents } from "@tocsin/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Link } from "react-router";
import { useApi } from "../../api/client";
import {
  AcknowledgeSelectedDocument,
  type EventRowFragment,
  EventRowFragmentDoc,
  EventRowWithFieldsFragmentDoc,
  ResolveSelectedDocument,
} from "../../api/generated";
import { Dialog } from "../../common/Dialog";
import { checked } from "../../common/userErrors";
import { useSession } from "../../session/Session";
import { Empty, ErrorState, Loading, SaveError } from "../../shell/states";
import { texts } from "../../texts";
import { ExportButton, SelectionActions } from "./Actions";
import { useColumns } from "./columns";
import { EventTable } from "./EventTable";
import { FilterBar } from "./FilterBar";
import { Histogram } from "./Histogram";
import classes from "./index.module.css";
import { ALL, filterOf, isFiltered, orderOf, useView } from "./view";
import { ViewOptions } from "./ViewOptions";

const t = texts.events;
const PAGE_SIZE = 50;

/** Moves the focus to the link of the next or previous event. */
function moveFocus(step: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>("[data-event]")];
  const current = links.findIndex((link) => link.closest("tr")?.contains(document.activeElement));
  const next = current < 0 ? (step > 0 ? 0 : links.length - 1) : current + step;
  links[next]?.focus();
}

const focusedEvent = (): string | undefined =>
  document.activeElement?.closest("tr")?.querySelector<HTMLElement>("[data-event]")?.dataset.event;

export default function Events() {
  const [view, change] = useView();
  const [columns] = useColumns();
  const { client, can } = useApi();
  // A relative range begins at the time at which the view was opened.
  const filter = useMemo(() => filterOf(view, Date.now()), [view]);
  const orderBy = useMemo(() => orderOf(view), [view]);
  const list = useLiveEvents<EventRowFragment>(filter, {
    orderBy,
    pageSize: PAGE_SIZE,
    fragment: columns.fields.length > 0 ? EventRowWithFieldsFragmentDoc : EventRowFragmentDoc,
  });
  const { reportError } = useSession();
  const { events, newCount, hasMoreNew, hasNextPage, isLoadingMore, loadMore, showNew } = list;
  // A new object after each change to the listed or the waiting events.
  const version = useMemo(() => (list.isLoading ? null : {}), [list.isLoading, events, newCount]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [isWhole, setIsWhole] = useState(false);
  const [isHelpOpen, setIsHelpOpen] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const focusesFirst = useRef(false);

  const acknowledge = useMutation({
    mutationFn: async (id: string) =>
      checked((await client.request(AcknowledgeSelectedDocument, { ids: [id] })).acknowledgeEvents),
  });

  const resolve = useMutation({
    mutationFn: async (id: string) =>
      checked((await client.request(ResolveSelectedDocument, { ids: [id] })).resolveEvents),
  });

  useEffect(() => reportError(list.error), [reportError, list.error]);
  const clearSelection = useCallback(() => {
    setSelected(new Set());
    setIsWhole(false);
  }, []);
  useEffect(clearSelection, [clearSelection, view]);
  const show = useCallback(() => {
    focusesFirst.current = true;
    showNew();
  }, [showNew]);
  useEffect(() => {
    if (list.error) focusesFirst.current = false;
    if (!focusesFirst.current || newCount > 0) return;
    // The button that had the focus is gone.
    document.querySelector<HTMLElement>("[data-event]")?.focus();
    focusesFirst.current = false;
  }, [events, newCount, list.error]);
  useEffect(() => {
    const element = end.current;
    if (!element || !hasNextPage || isLoadingMore) return;
    const observer = new IntersectionObserver(
      ([entry]) => entry?.isIntersecting && loadMore(),
      { rootMargin: "600px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [hasNextPage, isLoadingMore, loadMore, events.length]);

  useHotkeys([
    ["j", () => moveFocus(1)],
    ["k", () => moveFocus(-1)],
    [
      "a",
      ({ repeat }) => {
        const id = repeat ? null : focusedEvent();
        if (id && can("EVENT_UPDATE")) acknowledge.mutate(id);
      },
    ],
    [
      "r",
      ({ repeat }) => {
        const id = repeat ? null : focusedEvent();
        if (id && can("EVENT_UPDATE")) resolve.mutate(id);
      },
    ],
    ["/", () => search.current?.focus()],
    // Depending on the keyboard, the key needs Shift.
    ["?", () => setIsHelpOpen(true)],
    ["shift+?", () => setIsHelpOpen(true)],
  ]);

  const select = useCallback(
    (id: string, isSelected: boolean) => {
      setIsWhole(false);
      setSelected((now) => {
        const next = new Set(now);
        if (isSelected) next.add(id);
        else next.delete(id);
        return next;
      });
    },
    [],
  );
  const selectAll = useCallback(
    (isSelected: boolean) => {
      setIsWhole(false);
      setSelected(new Set(isSelected ? events.map(({ id }) => id) : []));
    },
    [events],
  );
  const selectedEvents = useMemo(() => events.filter(({ id }) => selected.has(id)), [events, selected]);

  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} size="h2">
          {t.title}
        </Title>
        <Button variant="subtle" size="compact-sm" onClick={() => setIsHelpOpen(true)}>
          {t.shortcuts}
        </Button>
      </Group>
      <FilterBar view={view} onChange={change} search={search}>
        <ViewOptions />
        <ExportButton filter={filter} orderBy={orderBy} />
      </FilterBar>
      <Histogram view={view} version={version} onRange={(from, to) => change({ from, to, range: "" })} />
      <SaveError error={acknowledge.error} />
      <SaveError error={resolve.error} />
      {list.error && <ErrorState error={list.error} onRetry={list.reload} />}
      <div>
        {newCount > 0 && (
          <div className={classes.new}>
            <Button className={classes.button} size="compact-sm" onClick={show} aria-live="polite">
              {t.newEvents(newCount, hasMoreNew)}
            </Button>
          </div>
        )}
        {events.length > 0 && (
          <EventTable rows={events} selected={selected} onSelect={select} onSelectAll={selectAll} />
        )}
      </div>
      {list.isLoading && events.length === 0 && <Loading />}
      {!list.isLoading && !list.error && events.length === 0 && newCount === 0 && (
        <Empty title={isFiltered(view) ? t.noneFound : t.none}>
          {isFiltered(view) ? (
            <>
              {view.search && <Text ta="center">{t.noneFoundHint}</Text>}
              <Button onClick={() => change(ALL)}>{t.clearFilters}</Button>
            </>
          ) : (
            <>
              <Text>{t.noneHint}</Text>
              <Group>
                {can("EVENT_CREATE") && (
                  <Anchor component={Link} to="/report" underline="always">
                    {texts.sections.report}
                  </Anchor>
                )}
                <Anchor component={Link} to="/event-types" underline="always">
                  {texts.sections.eventTypes}
                </Anchor>
              </Group>
            </>
          )}
        </Empty>
      )}
      <div ref={end} className={classes.end}>
        {isLoadingMore && <Loader size="sm" aria-label={texts.states.loading} />}
        {hasNextPage && !isLoadingMore && (
          <Button variant="default" onClick={loadMore}>
            {texts.loadMore}
          </Button>
        )}
      </div>
      <Help isOpen={isHelpOpen} onClose={() => setIsHelpOpen(false)} />
      <SelectionActions
        events={selectedEvents}
        filter={filter}
        isWhole={isWhole}
        onSelectWhole={
          !isWhole && (hasNextPage || selectedEvents.length < events.length) ? () => setIsWhole(true) : null
        }
        onDone={clearSelection}
      />
    </Stack>
  );
}

function Help({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={t.shortcuts}>
      <Table>
        <Table.Tbody>
          {Object.entries(t.keys).map(([key, meaning]) => (
            <Table.Tr key={key}>
              <Table.Td>
                <Kbd>{key}</Kbd>
              </Table.Td>
              <Table.Td>{meaning}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Dialog>
  );
}
