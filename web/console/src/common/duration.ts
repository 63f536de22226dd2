// Durations of a fixed length, which the API returns in ISO 8601 format.

import { texts } from "../texts";

export type DurationUnit = "seconds" | "minutes" | "hours" | "days";

export const DURATION_UNITS: Record<DurationUnit, number> = {
  seconds: 1,
  minutes: 60,
  hours: 3_600,
  days: 86_400,
};

const FORMAT = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/;

/** The largest unit in which the duration is a whole number, and that number. */
export function readDuration(text: string): { value: number; unit: DurationUnit } {
  const [, days = "0", hours = "0", minutes = "0", seconds = "0"] = FORMAT.exec(text) ?? [];
  const total = Number(days) * 86_400 + Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
  const units = (Object.keys(DURATION_UNITS) as DurationUnit[]).reverse();
  const unit = units.find((each) => total > 0 && total % DURATION_UNITS[each] === 0) ?? "seconds";
  return { value: total / DURATION_UNITS[unit], unit };
}

/** The duration in ISO 8601 format. */
export function writeDuration(value: number, unit: DurationUnit): string {
  const letter = unit[0]!.toUpperCase();
  return unit === "days" ? `P${value}D` : `PT${value}${letter}`;
}

/** The duration in words. */
export function formatDuration(text: string): string {
  const { value, unit } = readDuration(text);
  return texts.durations[unit](value);
}
