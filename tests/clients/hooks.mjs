// hooks.mjs HOOK URL KEY ARGUMENTS: renders a component that uses a hook of @tocsin/react. Prints each state of
// the hook as a line of JSON. Reads calls of its functions from standard input: lines such as
// ["acknowledge", "id"]. ["setArguments", ...] replaces the arguments of the hook.
import { Window } from "happy-dom";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import WebSocket from "ws";

const window = new Window();
Object.assign(globalThis, { window, document: window.document });
globalThis.navigator ??= window.navigator; // Node has its own since version 21.
globalThis.WebSocket ??= WebSocket; // Node has its own since version 22.
const { createElement, StrictMode, useReducer, version: reactVersion } = await import("react");
const { createRoot } = await import("react-dom/client");
const load = process.env.MODULES === "commonjs" ? createRequire(import.meta.url) : (name) => import(name);
const { createTocsinClient } = await load("@tocsin/client");
const hooks = await load("@tocsin/react");

const [, , name, url, key, text] = process.argv;
const print = (...values) => console.log(JSON.stringify(values));
const client = createTocsinClient({ url, getToken: () => key, organization: process.env.ORGANIZATION });
let current;
let hookArguments = JSON.parse(text);
let renderAgain;

function Component() {
  [, renderAgain] = useReducer((count) => count + 1, 0);
  current = hooks[name](...hookArguments);
  const { error, ...state } = current;
  print("state", { ...state, error: error?.code ?? null, reactVersion });
  return null;
}

function setArguments(...values) {
  hookArguments = values;
  renderAgain();
}

const component = createElement(hooks.TocsinProvider, { client }, createElement(Component));
const root = createRoot(document.createElement("div"));
root.render(createElement(StrictMode, null, component));

for await (const line of createInterface({ input: process.stdin })) {
  const [call, ...args] = JSON.parse(line);
  const functions = { ...current, setArguments };
  try {
    print("returned", (await functions[call](...args)) ?? null);
  } catch (error) {
    print("thrown", error.code);
  }
}
root.unmount();
client.close();
