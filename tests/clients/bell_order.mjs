// bell_order.mjs: compares the list of `useBell` with that of a server, for random sequences of changes, deliveries,
// requests and delays. Prints the number of sequences. The server is a model: its list is the oracle.
import fc from "fast-check";
import { Window } from "happy-dom";
import { mock } from "node:test";

const RUNS = 500;
const PAGE_SIZE = 3;
const LONG_MS = 15_000; // longer than every delay of a retry
const MAX_ROUNDS = 50; // in which a list is up to date if nothing else changes

const window = new Window();
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true });
globalThis.navigator ??= window.navigator; // Node has its own since version 21.
const { act, createElement } = await import("react");
const { createRoot } = await import("react-dom/client");
const { TocsinError } = await import("@tocsin/client");
const { TocsinProvider, useBell } = await import("@tocsin/react");
mock.timers.enable({ apis: ["setTimeout"] });

/** The events of a server, its change log, and the requests and subscriptions of one client. */
class Server {
  events = new Map();
  log = [];
  mark = 0;
  requests = [];
  changes = null;
  summary = null;
  isSilent = false;

  constructor(filter) {
    this.filter = filter;
  }

  matches(event) {
    if (!event?.notification || event.silenced) return false;
    const { acknowledged = event.acknowledged, statuses = [event.status] } = this.filter ?? {};
    return event.acknowledged === acknowledged && statuses.includes(event.status);
  }

  list() {
    return [...this.events.values()].filter((event) => this.matches(event)).sort((first, second) => second.rang - first.rang);
  }

  /** Writes an event and its entry. `changes` are undefined to delete it. A silence keeps an event from ringing. */
  write(id, kind, changes, notifies = false) {
    const old = this.events.get(id);
    const rings = notifies && !this.isSilent;
    if (notifies) changes = { ...changes, silenced: this.isSilent };
    const event = changes && { id, ...old, ...changes, ...(rings && { rang: this.log.length + 1 }) };
    if (event) this.events.set(id, Object.assign(event, { status: statusOf(event) }));
    else this.events.delete(id);
    const [before, after] = [this.matches(old), this.matches(event)];
    const transition = after ? (before ? "CHANGED" : "ENTERED") : before ? "LEFT" : null;
    const changedFields = Object.keys(changes ?? {}).filter((name) => old && old[name] !== changes[name]);
    this.log.push({ id, kind, transition, changedFields });
  }

  logEvent(id, notification) {
    if (this.events.has(id)) return;
    this.write(id, "LOGGED", { notification, acknowledged: false, resolved: false, severity: 0, version: 0, silenced: false }, notification);
  }

  update(id, changes) {
    const old = this.events.get(id);
    if (!old) return;
    if (!changes.notification) changes = { ...changes, silenced: false };
    this.write(id, "UPDATED", changes, changes.notification === true && !old.notification);
  }

  acknowledge(id, acknowledged) {
    const old = this.events.get(id);
    if (old && old.acknowledged !== acknowledged) this.write(id, acknowledged ? "ACKNOWLEDGED" : "UNACKNOWLEDGED", { acknowledged });
  }

  resolve(id) {
    if (this.events.get(id)?.resolved === false) this.write(id, "RESOLVED", { resolved: true });
  }

  /** Removes the resolution. A notification is delivered again. */
  reopen(id) {
    const old = this.events.get(id);
    if (old?.resolved) this.write(id, "REOPENED", { resolved: false }, old.notification);
  }

  /** Counts a duplicate of an unresolved event. A more severe one that is a notification is delivered again. */
  duplicate(id, isMoreSevere) {
    const old = this.events.get(id);
    if (!old || old.resolved) return;
    if (isMoreSevere) this.write(id, "DUPLICATED", { severity: old.severity + 1, notification: true }, true);
    else this.write(id, "DUPLICATED", { version: old.version + 1 });
  }

  endSilence() {
    this.isSilent = false;
    for (const { id, silenced, status } of [...this.events.values()])
      if (silenced && status === "OPEN") this.write(id, "RANG", {}, true);
  }

  raiseMark(mark) {
    this.mark = Math.max(this.mark, Math.min(mark, this.log.length));
  }

  // What the hook calls

  request = (document, variables, { signal } = {}) =>
    new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      this.requests.push({ document, variables, resolve, reject, response: null });
    });

  subscribe = (document, options) => {
    const subscription = { ...options, position: Number(options.after ?? 0), unsubscribe: () => (subscription.isEnded = true) };
    if (document.includes("eventChanged")) this.changes = subscription;
    else this.summary = subscription;
    options.onStatus?.("connected");
    return subscription;
  };

  // What happens on the network

  /** Executes a request: later changes are not in its response. */
  execute(request) {
    request.response ??= this.respond(request);
  }

  respond({ document, variables }) {
    const logHead = String(this.log.length);
    if (document.includes("query LogHead")) return { logHead };
    if (document.includes("markNotificationsRead")) {
      this.raiseMark(Number(variables.upTo));
      return { markNotificationsRead: { userErrors: [] } };
    }
    const following = this.list().filter((event) => variables.after === null || event.rang < Number(variables.after));
    const edges = following.slice(0, variables.first).map((node) => ({
      cursor: String(node.rang),
      read: node.rang <= this.mark,
      node,
    }));
    const pageInfo = { hasNextPage: following.length > edges.length, endCursor: edges.at(-1)?.cursor ?? null };
    return { ...(variables.isFirst && { logHead }), notifications: { edges, pageInfo } };
  }

  answer(request = this.requests[0]) {
    if (!request) return;
    this.requests.splice(this.requests.indexOf(request), 1);
    this.execute(request);
    request.resolve(request.response);
  }

  refuse() {
    this.requests.shift()?.reject(new TocsinError("UNAVAILABLE", "The server cannot be reached."));
  }

  /** Delivers entries with the current states of their events. */
  deliver(count) {
    const { changes } = this;
    if (!changes || changes.isEnded) return;
    for (let entry; count > 0 && (entry = this.log[changes.position]); count--) {
      const cursor = String(++changes.position);
      if (entry.transition === null) continue;
      const { id: eventId, kind, transition, changedFields } = entry;
      changes.onData({ eventChanged: { cursor, kind, transition, changedFields, eventId, event: this.events.get(eventId) ?? null } });
    }
  }

  deliverSummary() {
    if (!this.summary || this.summary.isEnded) return;
    const open = [...this.events.values()].filter((event) => this.matches(event) && event.status === "OPEN");
    const unread = open.filter((event) => event.rang > this.mark);
    this.summary.onData({ notificationSummaryChanged: { openCount: open.length, unreadCount: unread.length, bySeverity: [], cursor: "0" } });
  }

  /** The entries that were not delivered are no longer available. */
  loseLog() {
    const { changes } = this;
    if (!changes || changes.isEnded || changes.position === this.log.length || changes.isExpired) return;
    changes.isExpired = true;
    changes.position = Infinity;
    void changes.onGap().then((after) => Object.assign(changes, { position: Number(after), isExpired: false }));
  }
}

function statusOf({ notification, acknowledged, resolved }) {
  if (!notification) return null;
  if (resolved) return "RESOLVED";
  return acknowledged ? "ACKNOWLEDGED" : "OPEN";
}

class World {
  constructor(filter) {
    this.server = new Server(filter);
  }

  async start() {
    const options = { filter: this.server.filter, pageSize: PAGE_SIZE };
    const Component = () => {
      this.bell = useBell(options);
      return null;
    };
    this.root = createRoot(document.createElement("div"));
    const component = createElement(TocsinProvider, { client: this.server }, createElement(Component));
    await this.run(() => this.root.render(component));
  }

  async run(step) {
    await act(async () => {
      step(this);
      await new Promise(setImmediate);
    });
    const ids = this.bell.notifications.map(({ event }) => event.id);
    check(new Set(ids).size === ids.length, "a notification is doubled");
    check(this.bell.error === null, `an error: ${this.bell.error}`);
  }

  /** When nothing is on its way, the list is the start of that of the server. */
  async settle() {
    const { server } = this;
    for (let quiet = 0, rounds = 0; quiet < 3; quiet++) {
      check(++rounds <= MAX_ROUNDS, "the list is loaded again and again");
      if (server.requests.length > 0) quiet = 0;
      await this.run(() => {
        while (server.requests.length > 0) server.answer();
        server.deliver(Infinity);
        server.deliverSummary();
      });
      await this.run(() => mock.timers.tick(LONG_MS));
      if (server.requests.length > 0) quiet = 0;
    }
    // `unreadCount` does not tell whether notifications that are not open were read elsewhere.
    const state = ({ event, read }) => [event.id, event.version, event.severity, event.status, event.status !== "OPEN" || read];
    const shown = this.bell.notifications.map(state);
    const all = server.list().map((event) => state({ event, read: event.rang <= server.mark }));
    const expected = this.bell.hasNextPage ? all.slice(0, shown.length) : all;
    check(JSON.stringify(shown) === JSON.stringify(expected), `shown ${JSON.stringify(shown)}, the server has ${JSON.stringify(all)}`);
    check(this.bell.hasNextPage === all.length > shown.length || this.bell.hasNextPage, "hasNextPage is false");
  }

  async finish() {
    await this.settle();
    while (this.bell.hasNextPage) {
      await this.run(() => this.bell.loadMore());
      await this.settle();
    }
    await this.run(() => this.root.unmount());
    mock.timers.tick(1);
  }
}

function check(isTrue, message) {
  if (!isTrue) throw new Error(message);
}

const id = fc.integer({ min: 0, max: 11 }).map((number) => `event-${number}`);
const count = fc.integer({ min: 1, max: 6 });
const nothing = fc.constant(undefined);
const step = (weight, name, values, run) => ({
  weight,
  arbitrary: values.map((value) => ({
    run: (world) => world.run(() => run(world.server, value, world.bell)),
    [fc.toStringMethod]: () => `${name}(${value ?? ""})`,
  })),
});
const steps = fc.array(
  fc.oneof(
    step(6, "log notification", id, (server, id) => server.logEvent(id, true)),
    step(1, "log", id, (server, id) => server.logEvent(id, false)),
    step(2, "make notification", id, (server, id) => server.update(id, { notification: true })),
    step(1, "unmake notification", id, (server, id) => server.update(id, { notification: false })),
    step(2, "acknowledge", id, (server, id) => server.acknowledge(id, true)),
    step(2, "unacknowledge", id, (server, id) => server.acknowledge(id, false)),
    step(2, "resolve", id, (server, id) => server.resolve(id)),
    step(2, "reopen", id, (server, id) => server.reopen(id)),
    step(2, "escalate", id, (server, id) => server.duplicate(id, true)),
    step(1, "count duplicate", id, (server, id) => server.duplicate(id, false)),
    step(2, "silence", nothing, (server) => (server.isSilent = true)),
    step(3, "end silence", nothing, (server) => server.endSilence()),
    step(1, "delete", id, (server, id) => server.events.has(id) && server.write(id, "DELETED")),
    step(1, "mark", fc.nat({ max: 40 }), (server, mark) => server.raiseMark(mark)),
    step(5, "deliver", count, (server, count) => server.deliver(count)),
    step(2, "deliver summary", nothing, (server) => server.deliverSummary()),
    step(2, "execute", nothing, (server) => server.requests.forEach((request) => server.execute(request))),
    step(4, "answer", nothing, (server) => server.answer()),
    step(1, "refuse", nothing, (server) => server.refuse()),
    step(1, "lose log", nothing, (server) => server.loseLog()),
    step(2, "load more", nothing, (server, _, bell) => bell.loadMore()),
    step(1, "mark read", nothing, (server, _, bell) => void bell.markRead().catch(() => {})),
    step(4, "elapse", fc.constantFrom(60, 200, 600), (server, milliseconds) => mock.timers.tick(milliseconds)),
  ),
  { maxLength: 60, size: "max" },
);

const filter = fc.constantFrom(null, { acknowledged: false }, { statuses: ["OPEN"] });
const property = fc.asyncProperty(filter, fc.array(id, { maxLength: 8 }), steps, async (filter, ids, steps) => {
  const world = new World(filter);
  for (const each of ids) world.server.logEvent(each, true);
  await world.start();
  for (const { run } of steps) await run(world);
  await world.finish();
});
await fc.assert(property, { numRuns: Number(process.argv[2] ?? RUNS), seed: 1 });
console.log(JSON.stringify(["sequences", Number(process.argv[2] ?? RUNS)]));
process.exit();
