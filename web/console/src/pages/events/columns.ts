// The columns of the list, which the reader chooses.

import { useStored } from "../../common/stored";

export const COLUMNS = [
  "time",
  "severity",
  "summary",
  "type",
  "entity",
  "source",
  "tags",
  "occurrences",
  "status",
  "acknowledged",
] as const;
export type Column = (typeof COLUMNS)[number];

export interface ColumnChoice {
  shown: Column[];
  /** Names of custom fields. */
  fields: string[];
}

const INITIAL: ColumnChoice = {
  shown: ["time", "severity", "summary", "type", "entity", "status", "acknowledged"],
  fields: [],
};

export const useColumns = () => useStored("columns", INITIAL);
