import { printDocument, type TocsinClient } from "@tocsin/client";
import { type LiveList, type LiveListRules, type RowChange, showWaiting } from "./live-list.js";
import type { LiveEvent } from "./live-events.js";
import { type LoadedPage, LiveRows, type LiveState } from "./live-rows.js";
import {
  AcknowledgeEventsDocument,
  type EventAttribute,
  EventChangesDocument,
  type EventChangesSubscription,
  type EventFieldsFragment,
  type EventFilter,
  MarkNotificationsReadDocument,
  NotificationPageDocument,
  NotificationSummaryDocument,
  type NotificationSummarySubscription,
} from "./operations.js";
import { type EventFragment, throwUserErrors, withFragment } from "./requests.js";
import { useStore } from "./store.js";

export type NotificationSummary = NotificationSummarySubscription["notificationSummaryChanged"];

export interface BellOptions<Fields> {
  /** Conditions on the notifications. All notifications if omitted. */
  filter?: EventFilter | null;
  /** Number of notifications that `loadMore` loads. Default 20, maximum 100. */
  pageSize?: number;
  /** Fields of the events: a document with one fragment on `Event`. */
  fragment?: EventFragment<Fields>;
}

export interface BellNotification<Event> {
  event: Event;
  /** Position in the change log: an argument of `acknowledgeUpTo` and `markRead`. */
  cursor: string;
  /** Whether the caller has marked it as read. */
  read: boolean;
}

export interface Bell<Event> extends Omit<LiveState<unknown>, "rows" | "newCount" | "hasMoreNew"> {
  /** Numbers of open and unread notifications, kept up to date. Null until they are loaded. */
  summary: NotificationSummary | null;
  /** The newest notifications, newest first, kept up to date: as many as the pages that were loaded. */
  notifications: readonly BellNotification<Event>[];
  /** Loads the next page. Does nothing while a page is being loaded, and after the last one. */
  loadMore: () => void;
  /** Acknowledges events, for all users. Returns their number. Throws a TocsinError. */
  acknowledge: (ids: string | readonly string[], note?: string) => Promise<number>;
  /**
   * Acknowledges the notifications up to a cursor, by default up to the newest that is shown.
   * Returns their number. Throws a TocsinError.
   */
  acknowledgeUpTo: (cursor?: string, note?: string) => Promise<number>;
  /**
   * Marks the notifications up to a cursor as read, for the caller only, by default up to the newest
   * that is shown. Throws a TocsinError.
   */
  markRead: (cursor?: string) => Promise<void>;
  /** Starts again after an error, for example with a new credential. */
  reload: () => void;
}

/** A notification bell: the live numbers, and the live list of the newest notifications. */
export function useBell<Fields = EventFieldsFragment>(options: BellOptions<Fields> = {}): Bell<LiveEvent<Fields>> {
  const { filter, pageSize, fragment } = options;
  const key = JSON.stringify(["bell", filter, pageSize, fragment && printDocument(fragment)]);
  const [store, state] = useStore(key, (client) => new BellRows<Fields>(client, options));
  const { rows, newCount, hasMoreNew, ...rest } = state;
  const { loadMore, acknowledge, acknowledgeUpTo, markRead, reload } = store;
  return { ...rest, notifications: rows, loadMore, acknowledge, acknowledgeUpTo, markRead, reload };
}

/** `cursor`, `read` and `position` are null in a change that leaves them as they are. */
interface Row<Event> extends BellNotification<Event> {
  position: number;
}
type ChangedRow<Event> = Row<Event> | { event: Event; cursor: null; read: null; position: null };
type Message<Event> = EventChangesSubscription["eventChanged"] & { event: Event | null };

interface BellState<Event> extends LiveState<Row<Event>> {
  summary: NotificationSummary | null;
}

// At a higher number, `unreadCount` is not exact.
const MAX_UNREAD_COUNT = 1_000;
const CHECK_MS = 500;

class BellRows<Fields, Event extends LiveEvent<Fields> = LiveEvent<Fields>> extends LiveRows<
  Row<Event>,
  Message<Event>,
  BellState<Event>
> {
  protected override readonly keepsPlaces = false;
  private readonly pageSize: number;
  private readonly page;
  private readonly changes;
  private newest = 0;
  private oldest = 0;
  private check: ReturnType<typeof setTimeout> | undefined;
  private needsReload = false;

  constructor(
    client: TocsinClient,
    private readonly options: BellOptions<Fields>,
  ) {
    const rules: LiveListRules<Row<Event>> = {
      idOf: (row) => row.event.id,
      compare: (first, second) => second.position - first.position,
      maxWaiting: Infinity, // none waits: see `arrange`
      hasPlace: (row: ChangedRow<Event>) => row.position !== null,
      merge: (old, changed: ChangedRow<Event>) =>
        changed.position === null ? { ...old, event: changed.event } : changed,
    };
    super(client, rules, { summary: null });
    this.pageSize = options.pageSize ?? 20;
    this.page = withFragment(NotificationPageDocument, options.fragment);
    this.changes = withFragment(EventChangesDocument, options.fragment);
  }

  readonly acknowledge = async (ids: string | readonly string[], note?: string): Promise<number> => {
    const variables = { ids: [ids].flat() as string[], note };
    const { acknowledgeEvents } = await this.client.request(AcknowledgeEventsDocument, variables);
    throwUserErrors(acknowledgeEvents.userErrors);
    return acknowledgeEvents.acknowledgedCount;
  };

  readonly acknowledgeUpTo = async (cursor = this.newestCursor(), note?: string): Promise<number> => {
    if (cursor === undefined) return 0;
    const variables = { filter: this.options.filter, upTo: cursor, note };
    let count = 0;
    for (let remaining = 1; remaining > 0; ) {
      const { acknowledgeEvents } = await this.client.request(AcknowledgeEventsDocument, variables);
      throwUserErrors(acknowledgeEvents.userErrors);
      count += acknowledgeEvents.acknowledgedCount;
      remaining = acknowledgeEvents.acknowledgedCount && acknowledgeEvents.remainingCount;
    }
    return count;
  };

  readonly markRead = async (cursor = this.newestCursor()): Promise<void> => {
    if (cursor === undefined) return;
    const { markNotificationsRead } = await this.client.request(MarkNotificationsReadDocument, { upTo: cursor });
    throwUserErrors(markNotificationsRead.userErrors);
    const position = this.list.rows.find((row) => row.cursor === cursor)?.position;
    if (position === undefined) return this.requireReload();
    const rows = this.list.rows.map((row) => (row.position <= position ? { ...row, read: true } : row));
    this.setList({ ...this.list, rows });
  };

  private newestCursor(): string | undefined {
    return this.list.rows[0]?.cursor;
  }

  protected override start(signal: AbortSignal): void {
    super.start(signal);
    const subscription = this.client.subscribe(NotificationSummaryDocument, {
      variables: { filter: this.options.filter },
      onData: ({ notificationSummaryChanged }) => signal.aborted || this.setSummary(notificationSummaryChanged),
      onError: (error) => signal.aborted || this.fail(error),
    });
    signal.addEventListener("abort", () => subscription.unsubscribe());
  }

  private setSummary(summary: NotificationSummary): void {
    this.setState({ summary });
    this.scheduleCheck();
  }

  private requireReload(): void {
    this.needsReload = true;
    this.scheduleCheck();
  }

  /** Loads the rows again if that is still needed soon. */
  private scheduleCheck(): void {
    const { signal } = this;
    this.check ??= setTimeout(async () => {
      if (!signal.aborted && (this.needsReload || this.wasReadElsewhere())) {
        this.needsReload = false;
        await this.reloadRows().catch(this.fail);
      }
      this.check = undefined;
      if (this.needsReload) this.scheduleCheck();
    }, CHECK_MS);
  }

  private wasReadElsewhere(): boolean {
    const unreadCount = this.getState().summary?.unreadCount ?? MAX_UNREAD_COUNT;
    const unread = this.list.rows.filter((row) => !row.read && row.event.status === "OPEN");
    return unreadCount < MAX_UNREAD_COUNT && unread.length > unreadCount;
  }

  protected async fetchPage(after: string | null, signal: AbortSignal): Promise<LoadedPage<Row<Event>>> {
    const { filter } = this.options;
    const variables = { filter, first: this.pageSize, after, isFirst: after === null };
    const { logHead, notifications } = await this.client.request(this.page, variables, { signal });
    const rows = notifications.edges.map(({ cursor, read, node }) => ({
      event: node as unknown as Event,
      cursor,
      read,
      position: --this.oldest,
    }));
    return { rows, logHead, ...notifications.pageInfo };
  }

  protected follow(after: string, { onData, ...handlers }: Parameters<LiveRows<any, Message<Event>, any>["follow"]>[1]) {
    const { filter } = this.options;
    const missing: EventAttribute[] = [...(filter?.missing ?? []), "SILENCED_BY"];
    return this.client.subscribe(this.changes, {
      variables: { filter: { ...filter, notification: true, missing } },
      after,
      onData: ({ eventChanged }) => onData(eventChanged as unknown as Message<Event>),
      ...handlers,
    });
  }

  protected readChanges(messages: readonly Message<Event>[]): RowChange<Row<Event>>[] {
    return messages.map(({ cursor, kind, transition, changedFields, eventId: id, event }) => {
      if (transition === "LEFT" || event === null) return { id, row: null };
      if (kind === "LOGGED" || kind === "REOPENED" || kind === "RANG") {
        return { id, row: { event, cursor, read: false, position: ++this.newest } };
      }
      const notifies = changedFields.includes(kind === "DUPLICATED" ? "severity" : "notification");
      if (transition === "ENTERED" || notifies) this.requireReload(); // its place is not known
      return { id, row: { event, cursor: null, read: null, position: null } as unknown as Row<Event> };
    });
  }

  /** Shows new notifications at once, and no more than the pages that were loaded. */
  protected override arrange(list: LiveList<Row<Event>>): LiveList<Row<Event>> {
    const shown = showWaiting(this.rules, list);
    const size = Math.max(this.loadedCount, this.pageSize);
    const end = shown.rows[size - 1];
    // The page that is being loaded follows the last row.
    if (shown.rows.length <= size || end === undefined || shown.missed !== null) return shown;
    this.endCursor = end.cursor;
    return { ...shown, rows: shown.rows.slice(0, size), end, hasNextPage: true };
  }

  protected override isReloaded(loaded: readonly Row<Event>[]): boolean {
    return loaded.length >= this.list.rows.length;
  }
}
