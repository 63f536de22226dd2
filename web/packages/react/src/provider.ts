import type { TocsinClient } from "@tocsin/client";
import { createContext, createElement, type ReactNode, useContext } from "react";

const ClientContext = createContext<TocsinClient | null>(null);

/** Provides the client that the hooks below it use. */
export function TocsinProvider({ client, children }: { client: TocsinClient; children?: ReactNode }) {
  return createElement(ClientContext.Provider, { value: client }, children);
}

/** Returns the client of the nearest TocsinProvider. */
export function useTocsinClient(): TocsinClient {
  const client = useContext(ClientContext);
  if (client === null) throw new Error("Hooks of @tocsin/react need a TocsinProvider above them.");
  return client;
}
