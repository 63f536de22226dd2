// The identity provider that the settings of the server name, and what this browser remembers of it.

import { API_URL, ROOT } from "../../../shared/server";

export interface Provider {
  issuer: string;
  clientId: string;
  scope: string;
  audience: string;
  resource: string | null;
  displayNameClaim: string;
  /** Origins to which the content security policy allows requests. */
  origins: string[];
}

/** See ProviderSignIn in app/http/console.py. Null if the server has no provider. */
export const PROVIDER = JSON.parse(
  document.querySelector<HTMLMetaElement>("meta[name=tocsin-provider]")?.content ?? "null",
) as Provider | null;

export const PROVIDER_HOST = PROVIDER ? new URL(PROVIDER.issuer).host : "";

/** The address to which the provider sends the user back. */
export const REDIRECT_URL = new URL("sign-in", ROOT).href;

// Another server may be below another path of the same host.
const path = new URL(API_URL).pathname;
const SESSION_KEY = `tocsin:provider-session:${path}`;
const REQUEST_KEY = `tocsin:provider-request:${path}`;

/** Whether a tab of this browser is signed in by the provider, or was when it was closed. */
export const hasSession = (): boolean => localStorage.getItem(SESSION_KEY) !== null;
export const keepSession = (): void => localStorage.setItem(SESSION_KEY, "true");
export const forgetSession = (): void => localStorage.removeItem(SESSION_KEY);

/** Calls `onEnd` when another tab signs out. */
export function watchSession(onEnd: () => void): () => void {
  const listen = ({ key, newValue }: StorageEvent) => {
    if (key === SESSION_KEY && newValue === null) onEnd();
  };
  addEventListener("storage", listen);
  return () => removeEventListener("storage", listen);
}

/** A request to sign in, which this tab keeps until the provider has sent the user back. */
export interface SignInRequest {
  state: string;
  nonce: string;
  codeVerifier: string;
  /** Address of the page that is shown afterwards, relative to the root of the server. */
  returnTo: string;
}

export const keepRequest = (request: SignInRequest): void =>
  sessionStorage.setItem(REQUEST_KEY, JSON.stringify(request));

/** Returns the request and forgets it, because each can be used once. */
export function takeRequest(): SignInRequest | null {
  const request = sessionStorage.getItem(REQUEST_KEY);
  sessionStorage.removeItem(REQUEST_KEY);
  return request ? (JSON.parse(request) as SignInRequest) : null;
}

/** Whether the provider has sent the user back to this page with a response. */
export function isResponse(): boolean {
  const parameters = new URLSearchParams(location.search);
  const isRedirect = location.origin + location.pathname === REDIRECT_URL;
  return isRedirect && (parameters.has("code") || parameters.has("error"));
}

/** The present page, relative to the root of the server. */
export function presentPage(): string {
  if (location.origin + location.pathname === REDIRECT_URL) return "/";
  return location.href.slice(ROOT.href.length - 1);
}
