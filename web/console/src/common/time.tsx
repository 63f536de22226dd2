// Times, as the reader prefers them: relative or absolute, in the time zone of the browser or in UTC.

import { useSyncExternalStore } from "react";
import { texts } from "../texts";
import { useStored } from "./stored";

export interface TimePreferences {
  isRelative: boolean;
  isUtc: boolean;
}

export const useTimePreferences = () =>
  useStored<TimePreferences>("time", { isRelative: false, isUtc: false });

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];
const relativeFormat = new Intl.RelativeTimeFormat(texts.locale, { numeric: "auto" });

export function formatRelative(time: Date, now: number): string {
  const seconds = (time.getTime() - now) / 1000;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return relativeFormat.format(Math.round(seconds / length), unit);
}

// To create a format takes much longer than to use it.
const [localFormat, utcFormat] = [undefined, "UTC"].map(
  (timeZone) => new Intl.DateTimeFormat(texts.dateLocale, { dateStyle: "short", timeStyle: "medium", timeZone }),
) as [Intl.DateTimeFormat, Intl.DateTimeFormat];

export function formatAbsolute(time: Date, isUtc: boolean): string {
  return isUtc ? `${utcFormat.format(time)} UTC` : localFormat.format(time);
}

const TICK_MS = 10_000;
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  now = Date.now();
  for (const listener of listeners) listener();
}

/** One timer for all relative times of the page. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

export const useNow = (): number => useSyncExternalStore(subscribe, () => now);

/** The time in the form that the reader prefers. The title has the other form. */
export function Time({ at }: { at: string }) {
  const [{ isRelative, isUtc }] = useTimePreferences();
  const current = useNow();
  const time = new Date(at);
  const absolute = formatAbsolute(time, isUtc);
  const relative = formatRelative(time, Math.max(current, Date.now()));
  return (
    // A time is wrapped between its words only, also in columns that break long texts anywhere.
    <time dateTime={at} title={isRelative ? absolute : relative} style={{ overflowWrap: "normal" }}>
      {isRelative ? relative : absolute}
    </time>
  );
}
