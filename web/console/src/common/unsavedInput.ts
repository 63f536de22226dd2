// Whether the user would lose input if the page were left.

let forms = 0;

/** Counts a form with changes that have not been saved, until the returned function is called. */
export function countUnsavedForm(): () => void {
  forms += 1;
  return () => void (forms -= 1);
}

export const hasUnsavedInput = (): boolean =>
  forms > 0 || document.querySelector("[role=dialog]") !== null;
