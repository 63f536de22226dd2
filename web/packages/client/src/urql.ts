import { type Exchange, subscriptionExchange } from "@urql/core";
import type { CacheExchangeOpts, Resolver } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import type { SubscribeOptions, TocsinClient } from "./client.js";
import { connections, possibleTypes, typesWithoutId } from "./generated.js";

export { possibleTypes };

/** Keys of the types without an `id`: an entity is identified by `type` and `entityId`. */
export const keys: NonNullable<CacheExchangeOpts["keys"]> = {
  ...Object.fromEntries(typesWithoutId.map((type) => [type, () => null])),
  Entity: ({ type, entityId }) => (type && entityId ? JSON.stringify([type, entityId]) : null),
};

/** Resolvers that merge the pages of a list, if a query selects `edges { cursor node }` and `pageInfo`. */
export const resolvers: Record<string, Record<string, Resolver>> = Object.fromEntries(
  Object.entries(connections).map(([type, lists]) => [
    type,
    Object.fromEntries(Object.keys(lists).map((name) => [name, relayPagination()])),
  ]),
);

/** The options of Graphcache's `cacheExchange` for Tocsin. */
export const cacheOptions = { keys, resolvers, possibleTypes } satisfies Partial<CacheExchangeOpts>;

export type TocsinExchangeOptions = Pick<SubscribeOptions<any, any>, "onGap" | "onStatus">;

/** An exchange that runs subscriptions with a TocsinClient, so that they resume without a gap. */
export function tocsinExchange(client: TocsinClient, options: TocsinExchangeOptions = {}): Exchange {
  return subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => {
        const { after, ...others } = (variables ?? {}) as { after?: string };
        return client.subscribe(query ?? "", {
          ...options,
          variables: others,
          after,
          onData: (data) => sink.next({ data }),
          onError: sink.error,
          onComplete: sink.complete,
        });
      },
    }),
  });
}
