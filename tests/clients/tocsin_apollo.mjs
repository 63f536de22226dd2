import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { createTocsinClient } from "@tocsin/client";
import { possibleTypes, TocsinLink, typePolicies } from "@tocsin/client/apollo";

export function apolloClient(url, getToken) {
  const authorize = new SetContextLink(async ({ headers }) => ({
    headers: { ...headers, authorization: `Bearer ${await getToken(null)}` },
  }));
  const subscriptions = new TocsinLink(createTocsinClient({ url, getToken }));
  return new ApolloClient({
    link: ApolloLink.from([subscriptions, authorize, new HttpLink({ uri: url })]),
    cache: new InMemoryCache({ possibleTypes, typePolicies }),
  });
}
