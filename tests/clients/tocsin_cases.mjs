// tocsin_cases.mjs CASE URL KEY [AFTER]: runs one case with @tocsin/client, and prints what happens as
// lines of JSON.
import { createRequire } from "node:module";
import WebSocket from "ws";
import { createTocsinClient } from "@tocsin/client";

globalThis.WebSocket ??= WebSocket; // Node has its own since version 22.
const [, , name, url, key, after] = process.argv;
const print = (...value) => console.log(JSON.stringify(value));

const ADDED = `subscription ($after: String) {
  notificationAdded(after: $after) { cursor node { summary } }
}`;
const WITHOUT_CURSOR = `subscription ($after: String) {
  notificationAdded(after: $after) { node { summary } }
}`;
const SUMMARY = "subscription { notificationSummaryChanged { openCount } }";

const summaryOf = ({ notificationAdded }) => notificationAdded.node.summary;
const report = (onData) => ({
  onData: (data) => print("data", onData(data)),
  onError: (error) => {
    print("error", error.code, error.message);
    process.exit();
  },
  onStatus: (status, error) => print("status", status, error?.message),
});

const cases = {
  /** A cursor whose entries were pruned: the list is loaded again. */
  gap(client) {
    client.subscribe(ADDED, {
      after,
      ...report(summaryOf),
      onGap: () => print("gap"),
    });
  },
  gap_without_handler: (client) => client.subscribe(ADDED, { after, ...report(summaryOf) }),
  added: (client) => client.subscribe(ADDED, report(summaryOf)),
  without_cursor: (client) => client.subscribe(WITHOUT_CURSOR, report(() => null)),
  summary: (client) => client.subscribe(SUMMARY, report((data) => data)),
  async invalid(client) {
    client.subscribe("subscription { nothing }", report((data) => data));
  },
  async request(client) {
    const { viewer } = await client.request("{ viewer { name } }");
    print("viewer", viewer.name);
    await client.request("{ nothing }").catch((error) => print("error", error.code));
    const stop = new AbortController();
    const aborted = client.request("{ logHead }", {}, { signal: stop.signal });
    stop.abort();
    await aborted.catch((error) => print("aborted", error.name));
    process.exit();
  },
  /** A subscription that is ended gets nothing more, and the process can end. */
  async unsubscribe(client) {
    const subscription = client.subscribe(ADDED, {
      ...report(summaryOf),
      onData: (data) => {
        print("data", summaryOf(data));
        print("cursor", typeof subscription.cursor);
        subscription.unsubscribe();
      },
    });
  },
  commonjs() {
    const required = createRequire(import.meta.url)("@tocsin/client");
    print("exports", Object.keys(required).sort());
  },
};

let tokens = 0;
const getToken = (rejected) => {
  if (rejected !== null) print("rejected", rejected);
  return key === "new-each-time" ? `invalid-${++tokens}` : key;
};
const { TRANSPORT: transport, ORGANIZATION: organization } = process.env;
await cases[name](createTocsinClient({ url, getToken, organization, transport }));
