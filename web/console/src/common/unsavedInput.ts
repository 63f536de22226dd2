// Whether the user would lose input if the page were left.

let unsaved = 0;

/** Counts a form with changes, or a request that saves them, until the returned function is called. */
export function countUnsaved(): () => void {
  unsaved += 1;
  return () => void (unsaved -= 1);
}

export const hasUnsavedInput = (): boolean =>
  unsaved > 0 || document.querySelector("[role=dialog]") !== null;
