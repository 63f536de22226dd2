import { texts } from "../texts";

/** A custom value with its unit, as text. */
export function formatValue(value: unknown, unit?: string | null): string {
  return unit === null || unit === undefined ? formatPlain(value) : `${formatPlain(value)} ${unit}`;
}

function formatPlain(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? texts.events.yes : texts.events.no;
  if (typeof value === "number") return value.toLocaleString(texts.dateLocale, { maximumFractionDigits: 20 });
  if (Array.isArray(value)) return value.map(formatPlain).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
