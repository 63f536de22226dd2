// The values of forms, and what their users have changed.

import { useState } from "react";

export const isEqual = (first: unknown, second: unknown): boolean =>
  JSON.stringify(first) === JSON.stringify(second);

/** Returns the values that differ from those before. */
export function changesOf<Values extends object>(before: Values, after: Partial<Values>): Partial<Values> {
  const names = Object.keys(after) as (keyof Values)[];
  const changed = names.filter((name) => !isEqual(before[name], after[name]));
  return Object.fromEntries(changed.map((name) => [name, after[name]])) as Partial<Values>;
}

/**
 * The values of a form: those that are stored, with the changes of the user. Another user may change
 * the rest meanwhile, so only `changes` are saved.
 */
export function useDraft<Values extends object>(stored: Values) {
  const [changed, setChanged] = useState<Partial<Values>>({});
  const changes = changesOf(stored, changed);
  return {
    draft: { ...stored, ...changes },
    changes,
    isChanged: Object.keys(changes).length > 0,
    change: (next: Partial<Values>) => setChanged((now) => changesOf(stored, { ...now, ...next })),
    /** Forgets the changes that were saved, and keeps those that were made meanwhile. */
    forget: (saved: Partial<Values>) =>
      setChanged((now) => changesOf(saved as Values, now)),
  };
}
