import { useInfiniteQuery } from "@tanstack/react-query";
import type { EventFilter, EventOrder } from "../../api/generated";
import { EventPageDocument } from "../../api/generated";
import { useApi } from "../../api/client";
import type { Row } from "./EventTable";

const PAGE_SIZE = 50;

export function useEventList(filter: EventFilter, orderBy: EventOrder, withFields: boolean) {
  const { client } = useApi();
  const query = useInfiniteQuery({
    queryKey: ["events", filter, orderBy, withFields],
    queryFn: ({ pageParam, signal }) =>
      client.request(
        EventPageDocument,
        { filter, orderBy, first: PAGE_SIZE, after: pageParam, withFields },
        { signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ events: { pageInfo } }) => (pageInfo.hasNextPage ? pageInfo.endCursor : null),
  });
  return {
    events: (query.data?.pages.flatMap(({ events }) => events.nodes) ?? []) as Row[],
    isLoading: query.isLoading,
    isLoadingMore: query.isFetchingNextPage,
    hasNextPage: query.hasNextPage,
    error: query.error,
    newCount: 0,
    hasMoreNew: false,
    loadMore: () => void query.fetchNextPage(),
    showNew: () => {},
    reload: () => void query.refetch(),
    refresh: () => void query.refetch(),
  };
}
