// Sign-in by OpenID Connect: authorization code flow with PKCE. It is loaded only if the server has a provider.

import * as oauth from "oauth4webapi";
import { texts } from "../texts";
import {
  keepRequest,
  presentPage,
  type Provider,
  PROVIDER_HOST,
  receiveOffer,
  REDIRECT_URL,
  type SignInRequest,
} from "./provider";

const t = texts.provider;
const TIMEOUT_MS = 15_000;
// A token is renewed this long before it expires, so that no request is rejected.
const RENEWAL_MS = 10_000;
// Expiration times are whole seconds, and the token takes time to arrive.
const CLOCK_MS = 2_000;
const TOO_MANY_REQUESTS = 429;
const WINDOW = "popup,width=520,height=720";
// The provider needs the user: its session has ended, or it wants to ask something.
const NEEDS_USER = new Set([
  "login_required",
  "interaction_required",
  "consent_required",
  "account_selection_required",
]);

/** A problem that the sign-in page shows. */
export class SignInError extends Error {}

/** The provider has answered that it does not sign the user in, so there is no session. */
export class NotSignedInError extends SignInError {}

/** The server of a provider, as its discovery document describes it. */
interface Discovered {
  server: oauth.AuthorizationServer;
  client: oauth.Client;
  provider: Provider;
}

const optionsFor = (provider: Provider) => ({
  // The settings of the server allow http only for a provider on the same machine.
  [oauth.allowInsecureRequests]: provider.issuer.startsWith("http:"),
  signal: () => AbortSignal.timeout(TIMEOUT_MS),
});

async function discover(provider: Provider): Promise<Discovered> {
  if (!isSecureContext) throw new SignInError(t.insecurePage);
  const issuer = new URL(provider.issuer);
  const response = await oauth.discoveryRequest(issuer, optionsFor(provider));
  const server = await oauth.processDiscoveryResponse(issuer, response);
  const { origin } = new URL(server.token_endpoint ?? provider.issuer);
  if (!provider.origins.includes(origin)) throw new SignInError(t.otherOrigin(origin));
  return { server, client: { client_id: provider.clientId }, provider };
}

interface CreatedRequest {
  request: SignInRequest;
  /** Address of the page of the provider. */
  address: URL;
}

/** Creates a request to sign in. With `isSilent`, the provider asks the user nothing. */
async function createRequest({ server, provider }: Discovered, isSilent: boolean): Promise<CreatedRequest> {
  if (!server.authorization_endpoint) throw new SignInError(t.noEndpoint);
  const codeVerifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const address = new URL(server.authorization_endpoint);
  const parameters = {
    client_id: provider.clientId,
    response_type: "code",
    redirect_uri: REDIRECT_URL,
    scope: provider.scope,
    audience: provider.audience,
    ...(provider.resource && { resource: provider.resource }),
    ...(isSilent && { prompt: "none" }),
    code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: "S256",
    state,
    nonce,
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  return { request: { state, nonce, codeVerifier, returnTo: presentPage() }, address };
}

/** Leaves the page for that of the provider. With `isSilent`, the provider asks the user nothing. */
export async function requestSignIn(provider: Provider, isSilent: boolean): Promise<void> {
  const { request, address } = await createRequest(await explain(discover(provider)), isSilent);
  keepRequest(request);
  location.assign(address);
}

/** Signs in with the response of the provider to the request. */
export const receiveResponse = (
  provider: Provider,
  request: SignInRequest,
  response: URL,
): Promise<ProviderSession> =>
  explain(
    (async () => {
      const discovered = await discover(provider);
      return new ProviderSession(discovered, await fetchTokens(discovered, request, response));
    })(),
  );

async function fetchTokens(
  { server, client, provider }: Discovered,
  request: SignInRequest,
  response: URL,
): Promise<oauth.TokenEndpointResponse> {
  const parameters = oauth.validateAuthResponse(server, client, response, request.state);
  const result = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    parameters,
    REDIRECT_URL,
    request.codeVerifier,
    { ...optionsFor(provider), additionalParameters: resourceOf(provider) },
  );
  return oauth.processAuthorizationCodeResponse(server, client, result, {
    expectedNonce: request.nonce,
    requireIdToken: true,
  });
}

const resourceOf = ({ resource }: Provider): Record<string, string> => (resource ? { resource } : {});

/** The tokens of a signed-in user. They are in memory only. */
export class ProviderSession {
  readonly displayName: string | null;
  /** Identifies the user at the provider. */
  readonly subject: string;
  /** Is called when the user has to sign in again. Requests wait until then. */
  onEnd = (): void => {};
  private token = "";
  private refreshToken: string | undefined;
  private expiresAt = Infinity;
  private renewal: Promise<void> | null = null;
  private newTokens: Promise<void> | null = null;
  private resume = (): void => {};
  private abort = new AbortController();

  constructor(
    private readonly discovered: Discovered,
    tokens: oauth.TokenEndpointResponse,
  ) {
    const claims = oauth.getValidatedIdTokenClaims(tokens)!;
    const name = claims[discovered.provider.displayNameClaim];
    this.displayName = typeof name === "string" ? name : null;
    this.subject = claims.sub;
    this.take(tokens);
  }

  /** Returns the access token, and a new one if it expires soon or if the server has rejected it. */
  readonly getToken = async (rejected: string | null): Promise<string> => {
    const isRejected = rejected === this.token;
    if (this.refreshToken && (isRejected || Date.now() > this.expiresAt - RENEWAL_MS)) {
      this.renewal ??= this.renew().finally(() => (this.renewal = null));
      await this.renewal.catch((error) => {
        if (isRejected || this.hasExpired()) throw error;
      });
    }
    if (rejected === this.token || this.hasExpired()) {
      if (!this.newTokens) {
        this.newTokens = new Promise((resolve) => (this.resume = resolve));
        this.onEnd();
      }
      await this.newTokens;
    }
    return this.token;
  };

  /**
   * Signs in again in a window of its own, so that the page keeps what the user has entered. Returns this
   * session if requests wait for it, and another one if they have failed or if another user has signed in.
   */
  async signInAgain(): Promise<ProviderSession> {
    this.abort.abort();
    this.abort = new AbortController();
    const { request, address } = await createRequest(this.discovered, false);
    if (!open(address, "_blank", WINDOW)) throw new SignInError(t.windowBlocked);
    const offer = await receiveOffer(request.state, this.abort.signal);
    const tokens = await explain(fetchTokens(this.discovered, request, offer));
    const next = new ProviderSession(this.discovered, tokens);
    if (next.subject !== this.subject || !this.newTokens) return next;
    this.take(tokens);
    this.newTokens = null;
    this.resume();
    return this;
  }

  hasExpired(): boolean {
    return Date.now() > this.expiresAt - CLOCK_MS;
  }

  /**
   * Returns the address at which the provider ends its session, if it has one. It has no ID token, because
   * addresses are in the history of the browser and in logs: the provider may ask the user.
   */
  findSignOutAddress(): URL | null {
    const { server, provider } = this.discovered;
    if (!server.end_session_endpoint) return null;
    const address = new URL(server.end_session_endpoint);
    address.searchParams.set("client_id", provider.clientId);
    address.searchParams.set("post_logout_redirect_uri", REDIRECT_URL);
    return address;
  }

  private take(tokens: oauth.TokenEndpointResponse): void {
    this.token = tokens.access_token;
    this.refreshToken = tokens.refresh_token ?? this.refreshToken;
    this.expiresAt = tokens.expires_in === undefined ? Infinity : Date.now() + tokens.expires_in * 1000;
  }

  private async renew(): Promise<void> {
    const { server, client, provider } = this.discovered;
    try {
      const response = await oauth.refreshTokenGrantRequest(
        server,
        client,
        oauth.None(),
        this.refreshToken!,
        { ...optionsFor(provider), additionalParameters: resourceOf(provider) },
      );
      this.take(await oauth.processRefreshTokenResponse(server, client, response));
    } catch (error) {
      const isRefused = error instanceof oauth.ResponseBodyError && error.status < 500;
      if (!isRefused || error.status === TOO_MANY_REQUESTS) throw error;
      // The provider has ended the session: the present token is used until it expires.
      this.refreshToken = undefined;
    }
  }
}

/** Replaces errors of the provider by those that a user understands. */
async function explain<Value>(result: Promise<Value>): Promise<Value> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof SignInError) throw error;
    if (error instanceof oauth.AuthorizationResponseError && NEEDS_USER.has(error.error)) {
      throw new NotSignedInError(t.sessionEnded);
    }
    if (error instanceof oauth.AuthorizationResponseError) {
      throw new NotSignedInError(t.refused(error.error_description ?? error.error));
    }
    if (error instanceof oauth.ResponseBodyError) {
      throw new SignInError(t.refused(error.error_description ?? error.error));
    }
    // fetch throws a TypeError, and a DOMException after the time limit.
    if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
      throw new SignInError(t.invalidResponse(error.message));
    }
    throw new SignInError(t.unreachable(PROVIDER_HOST));
  }
}
