import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { createTocsinClient } from "@tocsin/client";
import { cacheOptions, tocsinExchange } from "@tocsin/client/urql";

export function urqlClient(url, getToken) {
  const authorizedFetch = async (input, init) => {
    const authorization = `Bearer ${await getToken(null)}`;
    return fetch(input, { ...init, headers: { ...init.headers, authorization } });
  };
  const subscriptions = tocsinExchange(createTocsinClient({ url, getToken }));
  return new Client({
    url,
    preferGetMethod: false,
    fetch: authorizedFetch,
    exchanges: [cacheExchange(cacheOptions), subscriptions, fetchExchange],
  });
}
