// Lists that are read page by page.

import type { Document, TocsinError } from "@tocsin/client";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useApi } from "./client";
import { EventTypeNamesDocument } from "./generated";

interface ApiPage<Item> {
  nodes: readonly Item[];
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

interface PagesOptions {
  /** Milliseconds after which a visible page loads the data again. */
  refetchMs?: number;
}

/** Reads the pages of a connection. `select` returns the connection of a response. */
export function useApiPages<Data, Variables extends object, Item, Page extends ApiPage<Item>>(
  document: Document<Data, Variables & { after?: string | null }>,
  variables: Variables,
  select: (data: Data) => Page & ApiPage<Item>,
  { refetchMs }: PagesOptions = {},
) {
  const { client } = useApi();
  const query = useInfiniteQuery<Page & ApiPage<Item>, TocsinError, { pages: (Page & ApiPage<Item>)[] }, unknown[], string | null>({
    queryKey: [String(document), variables, "pages"],
    queryFn: async ({ pageParam, signal }) =>
      select(await client.request(document, { ...variables, after: pageParam }, { signal })),
    initialPageParam: null,
    refetchInterval: refetchMs ?? false,
    getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? pageInfo.endCursor : undefined),
  });
  return { ...query, items: query.data?.pages.flatMap(({ nodes }) => nodes as Item[]) };
}

/** Names of all event types, for menus. The menu grows until the last page is loaded. */
export function useEventTypeNames() {
  const { items, hasNextPage, fetchNextPage, isFetchingNextPage } = useApiPages(
    EventTypeNamesDocument,
    {},
    (data) => data.eventTypes,
  );
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return items ?? [];
}
