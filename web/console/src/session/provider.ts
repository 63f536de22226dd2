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
const SIGN_OUT_KEY = `tocsin:provider-sign-out:${path}`;
const REQUEST_KEY = `tocsin:provider-request:${path}`;
const RESPONSE_CHANNEL = `tocsin:provider-response:${path}`;
// Another tab of the same browser takes a response at once, or does not wait for it.
const HANDOVER_MS = 2_000;

/** Whether a tab of this browser is signed in by the provider, or was when it was closed. */
export const hasSession = (): boolean => localStorage.getItem(SESSION_KEY) !== null;
export const keepSession = (): void => localStorage.setItem(SESSION_KEY, "true");
/** New tabs no longer sign in by themselves. Those that are signed in stay so. */
export const forgetSession = (): void => localStorage.removeItem(SESSION_KEY);

/** Signs out all tabs of this browser. */
export function endSession(): void {
  forgetSession();
  localStorage.setItem(SIGN_OUT_KEY, "true"); // other tabs get an event
  localStorage.removeItem(SIGN_OUT_KEY);
}

/** Calls `onEnd` when another tab signs out. */
export function watchSession(onEnd: () => void): () => void {
  const listen = ({ key, newValue }: StorageEvent) => {
    if (key === SIGN_OUT_KEY && newValue !== null) onEnd();
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

/** Returns the request with this state and forgets it, because it can be used once. Null if this tab has sent none. */
export function takeRequest(state: string | null): SignInRequest | null {
  const request = JSON.parse(sessionStorage.getItem(REQUEST_KEY) ?? "null") as SignInRequest | null;
  if (request === null || request.state !== state) return null;
  sessionStorage.removeItem(REQUEST_KEY);
  return request;
}

/** Whether the provider, or a forged link, has sent the user to this page with a response. */
export function isResponse(): boolean {
  const parameters = new URLSearchParams(location.search);
  const isRedirect = location.origin + location.pathname === REDIRECT_URL;
  return isRedirect && (parameters.has("code") || parameters.has("error"));
}

export const stateOfResponse = (): string | null => new URLSearchParams(location.search).get("state");

type Handover = { response: string } | { takenState: string };

/** Offers the response in the address to the tab that has opened this window. Returns whether it has taken it. */
export async function offerResponse(): Promise<boolean> {
  const state = stateOfResponse();
  if (state === null) return false;
  const channel = new BroadcastChannel(RESPONSE_CHANNEL);
  try {
    return await new Promise<boolean>((resolve) => {
      channel.onmessage = ({ data }: MessageEvent<Handover>) => {
        if ("takenState" in data && data.takenState === state) resolve(true);
      };
      setTimeout(() => resolve(false), HANDOVER_MS);
      channel.postMessage({ response: location.href } satisfies Handover);
    });
  } finally {
    channel.close();
  }
}

/** Waits for the response with this state, which another window offers. */
export async function receiveOffer(state: string, signal: AbortSignal): Promise<URL> {
  const channel = new BroadcastChannel(RESPONSE_CHANNEL);
  try {
    return await new Promise<URL>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
      channel.onmessage = ({ data }: MessageEvent<Handover>) => {
        if (!("response" in data)) return;
        const address = new URL(data.response);
        if (address.searchParams.get("state") !== state) return;
        channel.postMessage({ takenState: state } satisfies Handover);
        resolve(address);
      };
    });
  } finally {
    channel.close();
  }
}

/** The present page, relative to the root of the server. */
export function presentPage(): string {
  if (location.origin + location.pathname === REDIRECT_URL) return "/";
  return location.href.slice(ROOT.href.length - 1);
}
