// tocsin_cases.mjs CASE URL KEY [AFTER]: runs one case with @tocsin/client, and prints what happens as
// lines of JSON.
import { createRequire } from "node:module";
import { once } from "node:events";
import { createServer } from "node:http";
import WebSocket from "ws";
import { createTocsinClient, TocsinError } from "@tocsin/client";

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
  /** The list cannot be loaded at once. */
  gap_and_failure(client) {
    let calls = 0;
    client.subscribe(ADDED, {
      after,
      ...report(summaryOf),
      onGap() {
        print("gap");
        if (++calls === 1) throw new TocsinError("UNAVAILABLE", "The list is not available.");
      },
    });
  },
  gap_without_handler: (client) => client.subscribe(ADDED, { after, ...report(summaryOf) }),
  added: (client) => client.subscribe(ADDED, report(summaryOf)),
  /** The process ends, because nothing is left of the connection. */
  without_cursor(client) {
    const onError = (error) => print("error", error.code);
    client.subscribe(WITHOUT_CURSOR, { ...report(() => null), onError });
  },
  summary: (client) => client.subscribe(SUMMARY, report((data) => data)),
  async too_large(client) {
    const fields = Array.from({ length: 3_000 }, (_, index) => `a${index}: cursor`);
    const document = `subscription ($after: String) { notificationAdded(after: $after) { cursor ${fields.join(" ")} } }`;
    client.subscribe(document, report((data) => data));
  },
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
  /** Servers that send no response, a part of one, or that of another program. */
  async responses() {
    const server = createServer((request, response) => {
      request.resume();
      if (request.url !== "/nothing") response.writeHead(200, { "content-length": 100 }).write("<html>");
      if (request.url === "/lost") setTimeout(() => response.destroy(), 100);
      if (request.url === "/page") response.end(" ".repeat(94));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    for (const path of ["nothing", "part", "lost", "page"]) {
      const address = `http://127.0.0.1:${server.address().port}/${path}`;
      const requestTimeout = path === "nothing" || path === "part" ? 500 : Infinity;
      const client = createTocsinClient({ url: address, getToken, requestTimeout });
      await client.request("{ logHead }").catch((error) => print(path, error.code, error.message));
    }
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
  /** Ten subscriptions of one client, whose connections are counted. */
  ten() {
    const webSocketImpl = class extends WebSocket {
      constructor(...options) {
        super(...options);
        print("socket");
      }
    };
    const ten = createTocsinClient({ ...options, webSocketImpl });
    for (let number = 0; number < 10; number++) ten.subscribe(SUMMARY, report(() => number));
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
/** The backend that issues tokens is not available at first. */
const getTokenLater = (rejected) => {
  if (++tokens <= 2) throw new TypeError("Failed to fetch");
  return getToken(rejected);
};
/** A page of another origin. It waits for a line before it tests whether the server can be reached. */
const fetchInPage = async (input, init) => {
  if (init.mode === "no-cors") {
    print("probe");
    await once(process.stdin, "data");
  }
  return fetch(input, init);
};

const { TRANSPORT: transport, ORGANIZATION: organization, PING_INTERVAL: pingInterval = 15_000 } = process.env;
const options = { url, getToken, organization, transport, pingInterval: Number(pingInterval) };
const page = new URL(url);
if (name === "relative") {
  globalThis.location = page;
  options.url = page.pathname;
} else if (name === "token_later") {
  options.getToken = getTokenLater;
} else if (name === "in_page") {
  globalThis.location = new URL("http://app.example/");
  options.fetch = fetchInPage;
}
await (cases[name] ?? cases.added)(createTocsinClient(options));
