// Compiled by a test: the types of the CommonJS builds.
import { createTocsinClient } from "@tocsin/client";
import { useBell, useLiveEvents } from "@tocsin/react";

export const client = createTocsinClient({ url: "http://127.0.0.1/graphql", getToken: () => "key" });

export function useTypes(): string {
  const { events } = useLiveEvents({ severities: ["ERROR"] });
  // @ts-expect-error (a value that the schema does not have)
  useLiveEvents({ severities: ["FATAL"] });
  const { summary } = useBell();
  return `${events[0]?.summary.trim()} ${summary?.unreadCount.toFixed()}`;
}
