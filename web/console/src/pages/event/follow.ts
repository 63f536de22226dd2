import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useApi } from "../../api/client";
import { EventFollowedDocument } from "../../api/generated";

/** Loads everything about the event again whenever it changes. */
export function useFollowedEvent(id: string): void {
  const { client } = useApi();
  const queries = useQueryClient();
  useEffect(() => {
    const subscription = client.subscribe(EventFollowedDocument, {
      variables: { filter: { ids: [id] } },
      onData: () => void queries.invalidateQueries({ predicate: ({ queryKey }) => isAbout(queryKey, id) }),
    });
    return subscription.unsubscribe;
  }, [client, queries, id]);
}

const isAbout = ([, variables]: readonly unknown[], id: string): boolean =>
  (variables as { id?: unknown } | undefined)?.id === id;
