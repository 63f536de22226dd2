// Merges the pages of a list with the live changes to it. Pure functions: they return a new list.
//
// A list is complete and in order if it gets every change since before its first page was requested:
// the pages may be older or newer than the changes that were received.

/** A change to a row: its new state, or null if it has left the list. */
export interface RowChange<Row> {
  readonly id: string;
  readonly row: Row | null;
}

/** Rows that follow those of the pages before. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly hasNextPage: boolean;
}

export interface LiveList<Row> {
  /** Rows that are shown. Their places change only in `showWaiting`. */
  readonly rows: readonly Row[];
  /** Rows that have entered the loaded part of the list, and are not shown yet, by ID. */
  readonly waiting: ReadonlyMap<string, Row>;
  /** IDs of shown rows that belong in a different place since they have changed. */
  readonly moved: ReadonlySet<string>;
  /** More than `maxWaiting` rows have entered: they are not kept, and the list must be reloaded. */
  readonly overflowed: boolean;
  /** Last row of the last page; null before the first page, and if there is no next page. */
  readonly end: Row | null;
  readonly hasNextPage: boolean;
  /** Changes since the next page was requested, by ID; null if none is requested. */
  readonly missed: ReadonlyMap<string, RowChange<Row>> | null;
}

export interface LiveListRules<Row> {
  idOf: (row: Row) => string;
  /** Negative if the first row precedes the second. 0 only for the same place. */
  compare: (first: Row, second: Row) => number;
  /** Maximum number of rows that wait. */
  maxWaiting: number;
  /** Whether the place of a changed row is known. By default, it is. A row without it only replaces. */
  hasPlace?: (row: Row) => boolean;
  /** Returns the new state of a row. By default, the changed row. */
  merge?: (old: Row, changed: Row) => Row;
}

export function emptyList<Row>(): LiveList<Row> {
  return {
    rows: [],
    waiting: new Map(),
    moved: new Set(),
    overflowed: false,
    end: null,
    hasNextPage: true,
    missed: null,
  };
}

/** Must be called before a page is requested. */
export function startPage<Row>(list: LiveList<Row>): LiveList<Row> {
  return { ...list, missed: new Map() };
}

/** Must be called if the page is not available. */
export function cancelPage<Row>(list: LiveList<Row>): LiveList<Row> {
  return { ...list, missed: null };
}

/** Appends the requested page. */
export function appendPage<Row>(
  rules: LiveListRules<Row>,
  list: LiveList<Row>,
  page: Page<Row>,
): LiveList<Row> {
  const shown = new Set(list.rows.map(rules.idOf));
  const added = page.rows.filter((row) => !shown.has(rules.idOf(row)));
  const waiting = new Map(list.waiting);
  for (const row of added) waiting.delete(rules.idOf(row));
  const appended: LiveList<Row> = {
    ...list,
    rows: [...list.rows, ...added],
    waiting,
    end: page.hasNextPage ? (page.rows.at(-1) ?? list.end) : null,
    hasNextPage: page.hasNextPage,
    missed: null,
  };
  return applyChanges(rules, appended, [...(list.missed?.values() ?? [])]);
}

/** Applies changes in the order of the change log. */
export function applyChanges<Row>(
  rules: LiveListRules<Row>,
  list: LiveList<Row>,
  changes: readonly RowChange<Row>[],
): LiveList<Row> {
  if (changes.length === 0) return list;
  const rows: (Row | null)[] = [...list.rows];
  const indexes = new Map(list.rows.map((row, index) => [rules.idOf(row), index]));
  const waiting = new Map(list.waiting);
  const moved = new Set(list.moved);
  const missed = list.missed && new Map(list.missed);
  let overflowed = list.overflowed;
  for (const change of changes) {
    const { id } = change;
    const row = change.row && mergeRow(rules, missed?.get(id)?.row, change.row);
    missed?.delete(id);
    missed?.set(id, { id, row });
    const index = indexes.get(id);
    if (row === null) {
      if (index !== undefined) rows[index] = null;
      indexes.delete(id);
      waiting.delete(id);
      moved.delete(id);
    } else if (index !== undefined) {
      const old = rows[index] as Row;
      const merged = mergeRow(rules, old, row);
      if (rules.compare(old, merged) !== 0) moved.add(id);
      rows[index] = merged;
    } else {
      const merged = mergeRow(rules, waiting.get(id), row);
      if (!(rules.hasPlace?.(merged) ?? true) || !isLoaded(rules, list, merged)) waiting.delete(id);
      else if (!overflowed) waiting.set(id, merged);
    }
    if (waiting.size > rules.maxWaiting) {
      overflowed = true;
      waiting.clear();
    }
  }
  const remaining = rows.filter((row): row is Row => row !== null);
  return { ...list, rows: remaining, waiting, moved, overflowed, missed };
}

const mergeRow = <Row>(rules: LiveListRules<Row>, old: Row | null | undefined, changed: Row): Row =>
  old && rules.merge ? rules.merge(old, changed) : changed;

/** Shows the waiting rows and moves those that have changed. Reload a list that has overflowed. */
export function showWaiting<Row>(rules: LiveListRules<Row>, list: LiveList<Row>): LiveList<Row> {
  if (list.waiting.size === 0 && list.moved.size === 0) return list;
  const rows = [...list.rows, ...list.waiting.values()]
    .filter((row) => isLoaded(rules, list, row))
    .sort(rules.compare);
  return { ...list, rows, waiting: new Map(), moved: new Set() };
}

/**
 * Replaces the list, after changes were missed, with rows that were loaded again from its start.
 * Keeps the places of the rows that are shown. Rows that have entered wait.
 */
export function replaceRows<Row>(
  rules: LiveListRules<Row>,
  list: LiveList<Row>,
  page: Page<Row>,
): LiveList<Row> {
  const loaded = new Map(page.rows.map((row) => [rules.idOf(row), row]));
  const moved = new Set<string>();
  const rows: Row[] = [];
  for (const old of list.rows) {
    const id = rules.idOf(old);
    const row = loaded.get(id);
    if (row === undefined) continue;
    loaded.delete(id);
    rows.push(row);
    if (list.moved.has(id) || rules.compare(old, row) !== 0) moved.add(id);
  }
  const waiting = new Map<string, Row>();
  for (const [id, row] of loaded) {
    if (isLoaded(rules, list, row)) waiting.set(id, row);
    else rows.push(row); // the next rows of the list
  }
  const overflowed = waiting.size > rules.maxWaiting;
  return {
    rows,
    waiting: overflowed ? new Map() : waiting,
    moved,
    overflowed,
    end: page.hasNextPage ? (page.rows.at(-1) ?? null) : null,
    hasNextPage: page.hasNextPage,
    missed: null,
  };
}

/** Whether the place of the row is in the loaded part of the list. */
function isLoaded<Row>(rules: LiveListRules<Row>, list: LiveList<Row>, row: Row): boolean {
  if (list.end !== null) return rules.compare(row, list.end) <= 0;
  return !list.hasNextPage;
}
