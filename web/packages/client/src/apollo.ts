import { ApolloLink, Observable, type TypePolicies } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";
import type { SubscribeOptions, TocsinClient } from "./client.js";
import { connections, possibleTypes } from "./generated.js";

export { possibleTypes };

/**
 * Cache policies: pages of a list are merged, if a query selects `edges { cursor node }` and
 * `pageInfo`. An entity, which has no `id`, is identified by `type` and `entityId`.
 */
export const typePolicies: TypePolicies = {
  ...Object.fromEntries(
    Object.entries(connections).map(([type, lists]) => [
      type,
      {
        fields: Object.fromEntries(
          Object.entries(lists).map(([name, keyArgs]) => [
            name,
            relayStylePagination(keyArgs.length > 0 && keyArgs),
          ]),
        ),
      },
    ]),
  ),
};
typePolicies.Entity = { ...typePolicies.Entity, keyFields: ["type", "entityId"] };

export type TocsinLinkOptions = Pick<SubscribeOptions<any, any>, "onGap" | "onStatus">;

/**
 * A link that runs subscriptions with a TocsinClient, so that they resume without a gap. Concatenate
 * it with the link for queries and mutations. The subscription's context can have `onGap` and
 * `onStatus`.
 */
export class TocsinLink extends ApolloLink {
  constructor(
    private readonly client: TocsinClient,
    private readonly options: TocsinLinkOptions = {},
  ) {
    super();
  }

  override request(
    operation: ApolloLink.Operation,
    forward: ApolloLink.ForwardFunction,
  ): Observable<ApolloLink.Result> {
    if (operation.operationType !== "subscription") return forward(operation);
    const { onGap, onStatus } = { ...this.options, ...(operation.getContext() as TocsinLinkOptions) };
    return new Observable((observer) => {
      const { after, ...variables } = operation.variables as { after?: string };
      const subscription = this.client.subscribe(operation.query, {
        variables,
        after,
        onGap,
        onStatus,
        onData: (data) => observer.next({ data }),
        onError: (error) => observer.error(error),
        onComplete: () => observer.complete(),
      });
      return subscription.unsubscribe;
    });
  }
}
