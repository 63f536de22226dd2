import type { TocsinClient } from "@tocsin/client";
import { useMemo, useSyncExternalStore } from "react";
import { useTocsinClient } from "./provider.js";

/** A state outside React, which is kept up to date as long as a component uses it. */
export abstract class Store<State extends object> {
  private readonly listeners = new Set<() => void>();
  private running: AbortController | null = null;
  /** Called when the last component has stopped using the state. */
  onStop = (): void => {};

  constructor(private state: State) {}

  readonly getState = (): State => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    this.running ??= this.run();
    return () => {
      this.listeners.delete(listener);
      // A component that is mounted again at once, as in StrictMode, uses the same state.
      setTimeout(() => {
        if (this.listeners.size > 0 || this.running === null) return;
        this.running.abort();
        this.running = null;
        this.onStop();
      });
    };
  };

  /** Starts again. */
  readonly reload = (): void => {
    if (this.running === null) return;
    this.running.abort();
    this.running = this.run();
  };

  protected abstract start(signal: AbortSignal): void;

  protected setState(changes: Partial<State>): void {
    this.state = { ...this.state, ...changes };
    for (const listener of this.listeners) listener();
  }

  private run(): AbortController {
    const running = new AbortController();
    this.start(running.signal);
    return running;
  }
}

const stores = new WeakMap<TocsinClient, Map<string, Store<any>>>();

/** Returns the store of the key. Components that use the same key share one, unless it is private. */
export function useStore<S extends Store<any>>(
  key: string,
  create: (client: TocsinClient) => S,
  isPrivate = false,
): [S, ReturnType<S["getState"]>] {
  const client = useTocsinClient();
  const store = useMemo(() => (isPrivate ? create(client) : findStore(client, key, create)), [client, key]);
  return [store, useSyncExternalStore(store.subscribe, store.getState, store.getState)];
}

function findStore<S extends Store<any>>(
  client: TocsinClient,
  key: string,
  create: (client: TocsinClient) => S,
): S {
  const ofClient = stores.get(client) ?? new Map<string, Store<any>>();
  stores.set(client, ofClient);
  const existing = ofClient.get(key);
  if (existing) return existing as S;
  const store = create(client);
  ofClient.set(key, store);
  store.onStop = () => {
    if (ofClient.get(key) === store) ofClient.delete(key);
  };
  return store;
}
