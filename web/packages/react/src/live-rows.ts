import { type ConnectionStatus, type TocsinClient, TocsinError, type TocsinSubscription } from "@tocsin/client";
import {
  appendPage,
  applyChanges,
  cancelPage,
  emptyList,
  type LiveList,
  type LiveListRules,
  type Page,
  replaceRows,
  type RowChange,
  showWaiting,
  startPage,
} from "./live-list.js";
import { LogHeadDocument } from "./operations.js";
import { asTocsinError, retry } from "./requests.js";
import { Store } from "./store.js";

const CURSOR_CODES = new Set(["CURSOR_EXPIRED", "INVALID_CURSOR"]);
// Messages that arrive within this time are shown together.
const BATCH_MS = 50;

const LOADED = { isLoading: false, isLoadingMore: false };
const NO_PAGE = { rows: [], hasNextPage: false, endCursor: null };

export interface LoadedPage<Row> extends Page<Row> {
  endCursor: string | null;
  /** End of the change log before the rows were read. Only of the first page. */
  logHead?: string;
}

export interface LiveState<Row> {
  rows: readonly Row[];
  /** Number of events that have entered the list, or moved in it, and wait for `showNew`. */
  newCount: number;
  /** There are more than `newCount`. */
  hasMoreNew: boolean;
  hasNextPage: boolean;
  /** The first page is being loaded. */
  isLoading: boolean;
  isLoadingMore: boolean;
  status: ConnectionStatus;
  /** Time at which the connection was lost; null while it is open. */
  offlineSince: Date | null;
  /** Why the list is not kept up to date: call `reload` after the cause is removed. */
  error: TocsinError | null;
}

const INITIAL_STATE: LiveState<any> = {
  rows: [],
  newCount: 0,
  hasMoreNew: false,
  hasNextPage: false,
  isLoading: true,
  isLoadingMore: false,
  status: "connecting",
  offlineSince: null,
  error: null,
};

/** A list that is loaded page by page, and followed from the time of its first page. */
export abstract class LiveRows<Row, Message, State extends LiveState<Row>> extends Store<State> {
  protected list: LiveList<Row> = emptyList();
  protected endCursor: string | null = null;
  /** Number of rows that the pages had. */
  protected loadedCount = 0;
  private messages: Message[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  protected signal = AbortSignal.abort();
  private request = new AbortController();

  constructor(
    protected readonly client: TocsinClient,
    protected readonly rules: LiveListRules<Row>,
    initial: Omit<State, keyof LiveState<Row>>,
  ) {
    super({ ...INITIAL_STATE, ...initial } as State);
  }

  protected abstract fetchPage(after: string | null, signal: AbortSignal): Promise<LoadedPage<Row>>;

  protected abstract follow(
    after: string,
    handlers: {
      onData: (message: Message) => void;
      onGap: () => Promise<string>;
      onError: (error: TocsinError) => void;
      onStatus: (status: ConnectionStatus) => void;
    },
  ): TocsinSubscription;

  /** Returns the changes to rows. The messages are in the order of the change log. */
  protected abstract readChanges(messages: readonly Message[]): RowChange<Row>[];

  /** Called with each new state of the list before it is shown. */
  protected arrange(list: LiveList<Row>): LiveList<Row> {
    return list;
  }

  /** Loads the next page. */
  readonly loadMore = (): void => {
    const { hasNextPage, isLoading, isLoadingMore, error } = this.getState();
    if (hasNextPage && !isLoading && !isLoadingMore && error === null) void this.loadPage();
  };

  /** Shows the events that have entered the list. */
  readonly showNew = (): void => {
    this.applyMessages();
    const { rows, waiting, overflowed } = this.list;
    const size = rows.length + waiting.size;
    if (overflowed || size > this.loadedCount + this.rules.maxWaiting) void this.loadPage(true);
    else this.setList(showWaiting(this.rules, this.list));
  };

  protected start(signal: AbortSignal): void {
    this.signal = signal;
    this.messages = [];
    // The first start changes no state, so that no component is rendered again.
    if (!this.getState().isLoading) this.setState({ ...LOADED, error: null, isLoading: true } as Partial<State>);
    void this.load(signal).catch(this.fail);
  }

  private async load(signal: AbortSignal): Promise<void> {
    const page = await retry(signal, () => this.fetchPage(null, signal), () => this.setStatus("waiting"));
    signal.throwIfAborted();
    this.startRequest(); // cancels a request for rows that was made meanwhile
    const subscription = this.follow(page.logHead!, {
      onData: (message) => signal.aborted || this.receive(message),
      onGap: () => this.recover(signal),
      onError: (error) => signal.aborted || this.fail(error),
      onStatus: (status) => signal.aborted || this.setStatus(status),
    });
    signal.addEventListener("abort", () => subscription.unsubscribe());
    this.showPage(page, true);
  }

  private async fetchHead(signal: AbortSignal): Promise<string> {
    const request = () => this.client.request(LogHeadDocument, {}, { signal });
    return (await retry(signal, request, () => this.setStatus("waiting"))).logHead;
  }

  /** Loads the next page, or the first one instead of all that are loaded. */
  protected async loadPage(isFirst = false): Promise<void> {
    const signal = this.startRequest();
    this.setState({ isLoadingMore: !isFirst, isLoading: isFirst } as Partial<State>);
    this.applyMessages();
    this.list = startPage(this.list);
    try {
      const after = isFirst ? null : this.endCursor;
      const page = await retry(signal, () => this.fetchPage(after, signal));
      if (!signal.aborted) this.showPage(page, isFirst);
    } catch (error) {
      if (signal.aborted) return;
      this.list = cancelPage(this.list);
      this.setState({ isLoadingMore: false } as Partial<State>);
      if (!isFirst && CURSOR_CODES.has((error as TocsinError).code)) await this.reloadRows().catch(this.fail);
      else this.fail(error);
    }
  }

  private showPage(page: LoadedPage<Row>, isFirst: boolean): void {
    this.applyMessages();
    const before = isFirst ? { ...emptyList<Row>(), missed: this.list.missed } : this.list;
    this.loadedCount = (isFirst ? 0 : this.loadedCount) + page.rows.length;
    this.endCursor = page.endCursor ?? this.endCursor;
    this.setList(appendPage(this.rules, before, page), LOADED);
  }

  /** Loads all rows again, because changes to them were missed. Returns the cursor to follow. */
  private async recover(signal: AbortSignal): Promise<string> {
    this.messages = [];
    const after = await this.fetchHead(signal);
    await this.reloadRows();
    return after;
  }

  /** Keeps the place of the reader, unless too many rows have entered. */
  protected async reloadRows(): Promise<void> {
    const signal = this.startRequest();
    this.setState({ isLoadingMore: true } as Partial<State>);
    this.applyMessages();
    this.list = startPage(this.list);
    const { rows, end } = this.list;
    const maxRows = rows.length + this.rules.maxWaiting;
    const loaded: Row[] = [];
    let cursor: string | null = null;
    let hasNextPage = true;
    for (let isDone = false; !isDone; ) {
      const page: LoadedPage<Row> = await retry(signal, () => this.fetchPage(cursor, signal)).catch((error) => {
        if (!signal.aborted) throw error;
        return NO_PAGE;
      });
      if (signal.aborted) return; // all rows are loaded in a different way
      loaded.push(...page.rows);
      cursor = page.endCursor;
      hasNextPage = page.hasNextPage;
      isDone = !hasNextPage || loaded.length > maxRows || this.isReloaded(loaded, end);
    }
    this.applyMessages();
    const missed = this.list.missed;
    const page = { rows: loaded, hasNextPage };
    this.endCursor = cursor;
    this.loadedCount = loaded.length;
    this.setList(
      this.keepsPlaces && loaded.length <= maxRows
        ? applyChanges(this.rules, replaceRows(this.rules, this.list, page), [...(missed?.values() ?? [])])
        : appendPage(this.rules, { ...emptyList<Row>(), missed }, page),
      LOADED,
    );
  }

  /** Whether rows stay where they are until the reader shows the new ones. */
  protected readonly keepsPlaces: boolean = true;

  /** Whether the rows that were loaded again reach the end of those that were loaded before. */
  protected isReloaded(loaded: readonly Row[], end: Row | null): boolean {
    const last = loaded.at(-1);
    return last !== undefined && end !== null && this.rules.compare(last, end) >= 0;
  }

  /** Cancels the request for rows that is running. Returns the signal of the next one. */
  private startRequest(): AbortSignal {
    this.request.abort();
    this.request = new AbortController();
    return AbortSignal.any([this.signal, this.request.signal]);
  }

  private receive(message: Message): void {
    this.messages.push(message);
    this.timer ??= setTimeout(() => {
      this.applyMessages();
      this.setList(this.list);
    }, BATCH_MS);
  }

  private applyMessages(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const messages = this.messages;
    this.messages = [];
    this.list = this.arrange(applyChanges(this.rules, this.list, this.readChanges(messages)));
  }

  protected setList(list: LiveList<Row>, changes: Partial<LiveState<Row>> = {}): void {
    this.list = this.arrange(list);
    const { rows, waiting, moved, overflowed, hasNextPage } = this.list;
    this.setState({
      rows,
      newCount: overflowed ? this.rules.maxWaiting : waiting.size + moved.size,
      hasMoreNew: overflowed,
      hasNextPage,
      ...changes,
    } as Partial<State>);
  }

  private setStatus(status: ConnectionStatus): void {
    let { offlineSince } = this.getState();
    if (status === "connected") offlineSince = null;
    if (status === "waiting") offlineSince ??= new Date();
    this.setState({ status, offlineSince } as Partial<State>);
  }

  protected readonly fail = (error: unknown): void => {
    if (this.signal.aborted) return;
    this.setState({ error: asTocsinError(error), ...LOADED } as Partial<State>);
  };
}
