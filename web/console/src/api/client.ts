// The connection of a signed-in user to the server.

import {
  createTocsinClient,
  type Document,
  type TocsinClient,
  type TocsinClientOptions,
  TocsinError,
} from "@tocsin/client";
import { keepPreviousData, QueryCache, QueryClient, MutationCache, useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { API_URL } from "../../../shared/server";
import { countUnsaved } from "../common/unsavedInput";
import type { Permission, ViewerQuery } from "./generated";

export type GetToken = TocsinClientOptions["getToken"];
export type Viewer = ViewerQuery["viewer"];

export interface Api {
  client: TocsinClient;
  viewer: Viewer;
  can: (permission: Permission) => boolean;
}

export interface Connection {
  client: TocsinClient;
  queries: QueryClient;
}

const MAX_RETRIES = 2;

/** Opens a connection. `reportError` gets the errors of all requests. */
export function connect(
  getToken: GetToken,
  organization: string | null,
  reportError: (error: TocsinError) => void,
): Connection {
  const client = createTocsinClient({
    url: API_URL,
    getToken,
    organization: organization ?? undefined,
  });
  const onError = (error: unknown) => error instanceof TocsinError && reportError(error);
  const releases = new Map<unknown, () => void>();
  const queries = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({
      onError,
      onMutate: (_variables, mutation) => void releases.set(mutation, countUnsaved()),
      onSettled: (_data, _error, _variables, _result, mutation) => {
        releases.get(mutation)?.();
        releases.delete(mutation);
      },
    }),
    defaultOptions: {
      queries: {
        // Only failures that may be temporary are tried again.
        retry: (count, error) =>
          count < MAX_RETRIES && error instanceof TocsinError && error.code === "UNAVAILABLE",
        staleTime: 30_000,
      },
    },
  });
  return { client, queries };
}

export const ApiContext = createContext<Api | null>(null);

export function useApi(): Api {
  const api = useContext(ApiContext);
  if (!api) throw new Error("useApi is used outside the session.");
  return api;
}

interface QueryOptions {
  isEnabled?: boolean;
  keepsPrevious?: boolean;
  /** Milliseconds after which a visible page loads the data again. */
  refetchMs?: number;
}

/** Runs a query. Its result is cached, and shared by components with the same variables. */
export function useApiQuery<Data, Variables extends object>(
  document: Document<Data, Variables>,
  variables: Variables,
  { isEnabled = true, keepsPrevious = false, refetchMs }: QueryOptions = {},
) {
  const { client } = useApi();
  return useQuery<Data, TocsinError>({
    queryKey: [String(document), variables],
    queryFn: ({ signal }) => client.request<Data, Variables>(document, variables, { signal }),
    enabled: isEnabled,
    refetchInterval: refetchMs ?? false,
    placeholderData: keepsPrevious ? keepPreviousData : undefined,
  });
}
