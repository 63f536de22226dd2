// Compiled by a test: the types of documents are those of @tocsin/client's data and variables.
import { ApolloClient, InMemoryCache } from "@apollo/client";
import { createTocsinClient, type Document, TocsinError } from "@tocsin/client";
import { possibleTypes, TocsinLink, typePolicies } from "@tocsin/client/apollo";
import { cacheOptions, tocsinExchange } from "@tocsin/client/urql";
import { Client } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";

type Bell = { notificationAdded: { cursor: string; node: { summary: string } } };
const BELL = "subscription ($after: String) { ... }" as Document<Bell, { after?: string | null }>;
const VIEWER = "{ viewer { name } }" as Document<{ viewer: { name: string } }, { verbose: boolean }>;

const client = createTocsinClient({ url: "http://127.0.0.1/graphql", getToken: () => "key" });

export async function useTypes(): Promise<string> {
  const { viewer } = await client.request(VIEWER, { verbose: true });
  // @ts-expect-error (a variable of another type)
  await client.request(VIEWER, { verbose: 1 }).catch((error: TocsinError) => error.code);
  client.subscribe(BELL, {
    after: null,
    onData: ({ notificationAdded }) => notificationAdded.node.summary.trim(),
    // @ts-expect-error (a field that the document does not select)
    onComplete: (data: Bell) => data.notificationAdded.severity,
  });
  return viewer.name;
}

export const apollo = new ApolloClient({
  link: new TocsinLink(client, { onGap: () => undefined }),
  cache: new InMemoryCache({ possibleTypes, typePolicies }),
});
export const urql = new Client({
  url: "http://127.0.0.1/graphql",
  preferGetMethod: false,
  exchanges: [cacheExchange(cacheOptions), tocsinExchange(client, { onStatus: console.log })],
});
