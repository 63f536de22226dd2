import { createTocsinClient } from "@tocsin/client";
import { type EventFilter, type Severity, useLiveEvents, useTocsinClient } from "@tocsin/react";
import { useEffect, useRef, useState } from "react";

const server = new URLSearchParams(location.search).get("server") ?? location.origin;

// The backend of the application issues access tokens. For a first try, `public/token` has an API key.
async function getToken() {
  const response = await fetch("token", { cache: "no-store" });
  return (await response.text()).trim();
}

export const client = createTocsinClient({ url: `${server}/graphql`, getToken });

export function useFilter() {
  const [severity, setSeverity] = useState<Severity | "">("");
  const [search, setSearch] = useState("");
  const filter: EventFilter = {
    severities: severity === "" ? null : [severity],
    search: search.trim() || null,
  };
  return { severity, setSeverity, search, setSearch, filter };
}

/** Calls `onReach` whenever the element is scrolled into view, or would be after the last call. */
export function useInfiniteScroll(rowCount: number, onReach: () => void) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && onReach());
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, [rowCount, onReach]);
  return element;
}

export type HistoryEntry = { cursor: string; at: string; kind: string; actor: string; changedFields: string[] };
const HISTORY = `query History($id: ID!) {
  event(id: $id) { history(last: 20) { nodes { cursor at kind actor changedFields } } }
}`;

export function useDetail(id: string) {
  const client = useTocsinClient();
  const [history, setHistory] = useState<HistoryEntry[]>([]);
  const { events: [event], isLoading } = useLiveEvents({ ids: [id] });
  useEffect(() => {
    void client.request(HISTORY, { id }).then((data) => setHistory(data.event?.history.nodes ?? []), () => {});
  }, [client, id, event]);
  return { event, isLoading, history };
}
