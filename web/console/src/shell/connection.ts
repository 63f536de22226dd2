// Whether the live connection of the page is interrupted, and since when.

import { useSyncExternalStore } from "react";

let offlineSince: Date | null = null;
const listeners = new Set<() => void>();

export function setOnline(isOnline: boolean): void {
  if (isOnline === (offlineSince === null)) return;
  offlineSince = isOnline ? null : new Date();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useOfflineSince = (): Date | null => useSyncExternalStore(subscribe, () => offlineSince);
