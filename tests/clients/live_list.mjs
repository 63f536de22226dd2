// live_list.mjs: compares the merged list of @tocsin/react with the list of a database, for random
// sequences of changes, deliveries and pages. Prints the number of sequences.
import fc from "fast-check";
import { appendPage, applyChanges, cancelPage, emptyList, replaceRows, showWaiting, startPage } from "@tocsin/react/live-list";

const RUNS = 5_000;
const PAGE_SIZE = 3;
const MAX_WAITING = 12;
const rules = {
  idOf: (row) => row.id,
  compare: (first, second) => second.place - first.place || second.id.localeCompare(first.id),
  maxWaiting: MAX_WAITING,
};

/** A database, its change log, and a client that may be behind both. */
class World {
  rows = new Map();
  log = [];
  position = 0; // of the client in the log
  list = emptyList();
  request = null;
  version = 0;

  sorted() {
    return [...this.rows.values()].filter((row) => row.isSelected).sort(rules.compare);
  }

  select(after) {
    const following = this.sorted().filter((row) => after === null || rules.compare(row, after) > 0);
    return { rows: following.slice(0, PAGE_SIZE), hasNextPage: following.length > PAGE_SIZE };
  }

  /** Writes a row and its entry in the log: `changes` are undefined to delete it. */
  write(id, changes) {
    const old = this.rows.get(id);
    const row = changes && { id, isSelected: true, ...old, ...changes, version: ++this.version };
    if (row) this.rows.set(id, row);
    else this.rows.delete(id);
    if (old?.isSelected || row?.isSelected) this.log.push({ id, isSelected: row?.isSelected ?? false });
  }

  /** Delivers entries with the current states of their rows, as a subscription does. */
  deliver(count) {
    const entries = this.log.slice(this.position, this.position + count);
    this.position += entries.length;
    const changes = entries.map(({ id, isSelected }) => ({
      id,
      row: (isSelected && this.rows.get(id)) || null,
    }));
    this.setList(applyChanges(rules, this.list, changes));
  }

  setList(list, mayInsert = false) {
    if (!mayInsert) {
      const old = this.list.rows.map(rules.idOf);
      const kept = list.rows.map(rules.idOf);
      check(kept.every((id, index) => index === 0 || old.indexOf(kept[index - 1]) < old.indexOf(id)), "a row moved or was inserted");
    }
    this.list = list;
    const ids = [...list.rows, ...list.waiting.values()].map(rules.idOf);
    check(new Set(ids).size === ids.length, "a row is doubled");
    const settled = list.rows.filter((row) => !list.moved.has(row.id));
    check(isSorted(settled), "a row is out of place");
    check(list.waiting.size <= MAX_WAITING, "too many rows wait");
  }

  requestPage() {
    if (this.request || !this.list.hasNextPage) return;
    this.list = startPage(this.list);
    this.request = { after: this.list.end, response: null };
  }

  /** The server reads the page: later changes are not in it. */
  readPage() {
    if (this.request) this.request.response ??= this.select(this.request.after);
  }

  receivePage() {
    if (!this.request) return;
    this.readPage();
    const { response } = this.request;
    this.request = null;
    this.setList(appendPage(rules, this.list, response), true);
    check(this.list.rows.length >= Math.min(PAGE_SIZE, response.rows.length) || this.log.length > 0, "a page is lost");
  }

  failPage() {
    if (this.request) this.list = cancelPage(this.list);
    this.request = null;
  }

  show() {
    this.setList(showWaiting(rules, this.list), true);
    check(this.list.moved.size === 0 && isSorted(this.list.rows), "a row is out of place");
    if (this.list.overflowed) this.restart();
  }

  restart() {
    this.request = null;
    this.list = { ...emptyList(), missed: startPage(this.list).missed };
    this.setList(appendPage(rules, this.list, this.select(null)), true);
  }

  /** The entries that were not delivered are no longer available. */
  loseLog() {
    this.position = this.log.length;
    this.request = null;
    const { end, rows } = this.list;
    const all = this.sorted();
    let count = PAGE_SIZE;
    while (count < all.length && !(end && rules.compare(all[count - 1], end) >= 0)) count += PAGE_SIZE;
    if (count > rows.length + MAX_WAITING) return this.restart();
    const before = rows.map(rules.idOf);
    const page = { rows: all.slice(0, count), hasNextPage: count < all.length };
    this.setList(replaceRows(rules, this.list, page), true);
    const after = this.list.rows.map(rules.idOf).filter((id) => before.includes(id));
    check(String(after) === String(before.filter((id) => after.includes(id))), "a place is lost");
  }

  /** When nothing is on its way, the loaded part equals that of the database. */
  settle() {
    this.receivePage();
    this.deliver(Infinity);
    const { end, hasNextPage, rows, waiting, overflowed } = this.list;
    const isLoaded = (row) => (end ? rules.compare(row, end) <= 0 : !hasNextPage);
    const expected = this.sorted().filter(isLoaded).map((row) => row.version);
    const actual = [...rows, ...waiting.values()].filter(isLoaded).map((row) => row.version);
    const isPart = actual.every((version) => expected.includes(version));
    check(overflowed ? isPart : isPart && actual.length === expected.length, "a row is lost or out of date");
    check(rows.every((row) => this.rows.get(row.id)?.version === row.version), "a shown row is out of date");
  }

  /** The reader shows everything and scrolls to the end. */
  finish() {
    this.settle();
    this.show();
    while (this.list.hasNextPage) {
      this.requestPage();
      this.receivePage();
    }
    const versions = (rows) => String(rows.map((row) => row.version));
    check(versions(this.list.rows) === versions(this.sorted()), "the list differs from the database");
  }
}

function check(isTrue, message) {
  if (!isTrue) throw new Error(message);
}

const isSorted = (rows) => rows.every((row, index) => index === 0 || rules.compare(rows[index - 1], row) < 0);

const id = fc.integer({ min: 0, max: 25 }).map((number) => `row-${number}`);
const place = fc.integer({ min: 0, max: 12 });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ id, place }).map(({ id, place }) => (world) => world.write(id, { place })) },
  { weight: 1, arbitrary: id.map((id) => (world) => world.rows.has(id) && world.write(id, { isSelected: false })) },
  { weight: 1, arbitrary: id.map((id) => (world) => world.rows.has(id) && world.write(id, { isSelected: true })) },
  { weight: 2, arbitrary: id.map((id) => (world) => world.rows.has(id) && world.write(id, undefined)) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 6 }).map((count) => (world) => world.deliver(count)) },
  { weight: 3, arbitrary: fc.constant((world) => world.requestPage()) },
  { weight: 2, arbitrary: fc.constant((world) => world.readPage()) },
  { weight: 3, arbitrary: fc.constant((world) => world.receivePage()) },
  { weight: 1, arbitrary: fc.constant((world) => world.failPage()) },
  { weight: 2, arbitrary: fc.constant((world) => world.show()) },
  { weight: 1, arbitrary: fc.constant((world) => world.loseLog()) },
  { weight: 1, arbitrary: fc.constant((world) => world.settle()) },
);

const property = fc.property(fc.array(id, { maxLength: 20, size: "max" }), fc.array(step, { maxLength: 60, size: "max" }), (ids, steps) => {
  const world = new World();
  ids.forEach((each, index) => world.write(each, { place: index % 7 }));
  world.position = world.log.length; // the subscription starts before the first page
  for (const run of steps) run(world);
  world.finish();
});
fc.assert(property, { numRuns: Number(process.argv[2] ?? RUNS), seed: 1 });
console.log(JSON.stringify(["sequences", Number(process.argv[2] ?? RUNS)]));
