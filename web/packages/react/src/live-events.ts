import { printDocument, type TocsinClient } from "@tocsin/client";
import type { RowChange } from "./live-list.js";
import { type LoadedPage, type LiveState, LiveRows } from "./live-rows.js";
import {
  EventChangesDocument,
  type EventChangesSubscription,
  type EventFieldsFragment,
  type EventFilter,
  type EventKeysFragment,
  type EventOrder,
  EventPageDocument,
  type Severity,
} from "./operations.js";
import { type EventFragment, withFragment } from "./requests.js";
import { useStore } from "./store.js";

/** An event of a list: the fields that its order needs, and those of the fragment. */
export type LiveEvent<Fields = EventFieldsFragment> = EventKeysFragment & Fields;

export interface LiveEventsOptions<Fields> {
  /** Order of the list. Latest `occurredAt` first if omitted. */
  orderBy?: EventOrder;
  /** Number of events that `loadMore` loads. Default 20, maximum 100. */
  pageSize?: number;
  /** Maximum number of events that wait for `showNew`. Default 1,000. */
  maxNew?: number;
  /** Fields of the events: a document with one fragment on `Event`. */
  fragment?: EventFragment<Fields>;
}

export interface LiveEvents<Event> extends Omit<LiveState<Event>, "rows"> {
  /** Events that are shown. Changes to them are applied in place; they move only in `showNew`. */
  events: readonly Event[];
  /** Loads the next page. Does nothing while a page is being loaded, and after the last one. */
  loadMore: () => void;
  /** Shows the new events at their places. If there are more than `maxNew`, starts at the top. */
  showNew: () => void;
  /** Starts again after an error, for example with a new credential. */
  reload: () => void;
}

/**
 * A list of the events that the filter selects, loaded page by page and kept up to date.
 *
 * Events that enter the list wait until the reader shows them (`newCount`, `showNew`), changed events
 * are replaced in place, and events that leave the list disappear. Components with the same
 * arguments share a list.
 */
export function useLiveEvents<Fields = EventFieldsFragment>(
  filter: EventFilter | null = null,
  options: LiveEventsOptions<Fields> = {},
): LiveEvents<LiveEvent<Fields>> {
  const { orderBy, pageSize, maxNew, fragment } = options;
  const key = JSON.stringify(["events", filter, orderBy, pageSize, maxNew, fragment && printDocument(fragment)]);
  const create = (client: TocsinClient) => new LiveEventRows<Fields>(client, filter, options);
  const [store, { rows, ...state }] = useStore(key, create);
  const { loadMore, showNew, reload } = store;
  return { ...state, events: rows, loadMore, showNew, reload };
}

type Message<Fields> = EventChangesSubscription["eventChanged"] & { event: LiveEvent<Fields> | null };

class LiveEventRows<Fields> extends LiveRows<LiveEvent<Fields>, Message<Fields>, LiveState<LiveEvent<Fields>>> {
  private readonly pageSize: number;
  private readonly page;
  private readonly changes;

  constructor(
    client: TocsinClient,
    private readonly filter: EventFilter | null,
    private readonly options: LiveEventsOptions<Fields>,
  ) {
    const { orderBy, maxNew = 1_000, pageSize = 20, fragment } = options;
    const rules = { idOf: (event: EventKeysFragment) => event.id, compare: compareBy(orderBy), maxWaiting: maxNew };
    super(client, rules, {});
    this.pageSize = pageSize;
    this.page = withFragment(EventPageDocument, fragment);
    this.changes = withFragment(EventChangesDocument, fragment);
  }

  protected async fetchPage(after: string | null, signal: AbortSignal): Promise<LoadedPage<LiveEvent<Fields>>> {
    const { orderBy } = this.options;
    const variables = { filter: this.filter, orderBy, first: this.pageSize, after, isFirst: after === null };
    const { logHead, events } = await this.client.request(this.page, variables, { signal });
    return { rows: events.nodes as unknown as LiveEvent<Fields>[], logHead, ...events.pageInfo };
  }

  protected follow(after: string, { onData, ...handlers }: Parameters<LiveRows<any, Message<Fields>, any>["follow"]>[1]) {
    return this.client.subscribe(this.changes, {
      variables: { filter: this.filter },
      after,
      onData: ({ eventChanged }) => onData(eventChanged as unknown as Message<Fields>),
      ...handlers,
    });
  }

  protected readChanges(messages: readonly Message<Fields>[]): RowChange<LiveEvent<Fields>>[] {
    // An event that is null has been deleted since: a later message says so.
    return messages.map(({ eventId, transition, event }) => ({ id: eventId, row: transition === "LEFT" ? null : event }));
  }
}

const SEVERITIES: readonly Severity[] = ["SUCCESS", "INFO", "WARN", "ERROR"];

/** The order of the server: times have a fixed format, and are compared as strings. */
function compareBy(orderBy: EventOrder = { field: "OCCURRED_AT", direction: "DESC" }) {
  const valueOf = {
    OCCURRED_AT: (event: EventKeysFragment) => event.occurredAt,
    RECORDED_AT: (event: EventKeysFragment) => event.recordedAt,
    LAST_OCCURRED_AT: (event: EventKeysFragment) => event.lastOccurredAt,
    SEVERITY: (event: EventKeysFragment) => SEVERITIES.indexOf(event.severity),
  }[orderBy.field];
  const sign = orderBy.direction === "DESC" ? -1 : 1;
  return (first: EventKeysFragment, second: EventKeysFragment): number => {
    const [a, b] = [valueOf(first), valueOf(second)];
    if (a !== b) return a < b ? -sign : sign;
    return first.id === second.id ? 0 : first.id < second.id ? -sign : sign;
  };
}
