// A list that is read page by page, or the state that it is in instead.

import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { ErrorState, Loading } from "../shell/states";
import { texts } from "../texts";

interface PagedListProps<Item> {
  /** The items of the pages read so far, and the state of the query. */
  pages: {
    items: Item[] | undefined;
    error: unknown;
    hasNextPage: boolean;
    isFetchingNextPage: boolean;
    refetch: () => unknown;
    fetchNextPage: () => unknown;
  };
  /** Shown if the list has no items. */
  empty: ReactNode;
  children: (items: Item[]) => ReactNode;
}

export function PagedList<Item>({ pages, empty, children }: PagedListProps<Item>) {
  const { items, error, hasNextPage, isFetchingNextPage, refetch, fetchNextPage } = pages;
  return (
    <>
      {error !== null && <ErrorState error={error} onRetry={() => void refetch()} />}
      {!items && error === null && <Loading />}
      {items?.length === 0 && !hasNextPage && empty}
      {items && items.length > 0 && children(items)}
      {hasNextPage && (
        <Button variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {texts.loadMore}
        </Button>
      )}
    </>
  );
}
