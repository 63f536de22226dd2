// Values of <input type="datetime-local">, which have no time zone: the time zone of the browser.

export function toLocalInput(time: string | null | undefined): string {
  if (!time) return "";
  const date = new Date(time);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export const fromLocalInput = (value: string): string | null => (value ? new Date(value).toISOString() : null);
