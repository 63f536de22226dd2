// Preferences, kept in the browser and shared by all components and tabs that use them.

import { useCallback, useMemo, useSyncExternalStore } from "react";
import { ROOT } from "../../../shared/server";

const PREFIX = `tocsin:console:${ROOT.pathname}:`;
const listeners = new Set<() => void>();

addEventListener("storage", () => notify());

function notify(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A value in the local storage, as JSON. `initial` must not change. */
export function useStored<Value>(name: string, initial: Value): [Value, (value: Value) => void] {
  const key = PREFIX + name;
  const text = useSyncExternalStore(subscribe, () => localStorage.getItem(key));
  const value = useMemo(() => parse(text, initial), [text]);
  const store = useCallback(
    (next: Value) => {
      localStorage.setItem(key, JSON.stringify(next));
      notify();
    },
    [key],
  );
  return [value, store];
}

function parse<Value>(text: string | null, initial: Value): Value {
  try {
    return text === null ? initial : (JSON.parse(text) as Value);
  } catch {
    return initial;
  }
}
