// Lists that are read page by page.

import type { Document, TocsinError } from "@tocsin/client";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useApi } from "./client";
import { EventTypeNamesDocument, FilterValuesDocument } from "./generated";

interface ApiPage<Item> {
  nodes: readonly Item[];
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

interface PagesOptions {
  /** Milliseconds after which a visible page loads the data again. */
  refetchMs?: number;
  isEnabled?: boolean;
}

/** Reads the pages of a connection. `select` returns the connection of a response. */
export function useApiPages<Data, Variables extends object, Item, Page extends ApiPage<Item>>(
  document: Document<Data, Variables & { after?: string | null }>,
  variables: Variables,
  select: (data: Data) => Page & ApiPage<Item>,
  { refetchMs, isEnabled = true }: PagesOptions = {},
) {
  const { client } = useApi();
  const query = useInfiniteQuery<Page & ApiPage<Item>, TocsinError, { pages: (Page & ApiPage<Item>)[] }, unknown[], string | null>({
    queryKey: [String(document), variables, "pages"],
    queryFn: async ({ pageParam, signal }) =>
      select(await client.request(document, { ...variables, after: pageParam }, { signal })),
    initialPageParam: null,
    refetchInterval: refetchMs ?? false,
    enabled: isEnabled,
    getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? pageInfo.endCursor : undefined),
  });
  return { ...query, isEnabled, items: query.data?.pages.flatMap(({ nodes }) => nodes as Item[]) };
}

/** The items of all pages. They grow until the last page is loaded, by one request of all components at a time. */
function useAllItems<Item>({ items, isEnabled, hasNextPage, fetchNextPage, isFetching, isError }: {
  items: Item[] | undefined;
  isEnabled: boolean;
  hasNextPage: boolean;
  fetchNextPage: (options: { cancelRefetch: boolean }) => unknown;
  isFetching: boolean;
  isError: boolean;
}): Item[] {
  useEffect(() => {
    if (isEnabled && hasNextPage && !isFetching && !isError) void fetchNextPage({ cancelRefetch: false });
  }, [isEnabled, hasNextPage, isFetching, fetchNextPage, isError]);
  return items ?? [];
}

/** Names of all event types, for menus. */
export const useEventTypeNames = () => useAllItems(useApiPages(EventTypeNamesDocument, {}, (data) => data.eventTypes));

/** All event types with their fields. */
export const useEventTypes = (isEnabled: boolean) =>
  useAllItems(useApiPages(FilterValuesDocument, {}, (data) => data.eventTypes, { isEnabled }));
