// Sign-in by OpenID Connect: authorization code flow with PKCE. It is loaded only if the server has a provider.

import * as oauth from "oauth4webapi";
import { texts } from "../texts";
import {
  keepRequest,
  presentPage,
  type Provider,
  PROVIDER_HOST,
  REDIRECT_URL,
  takeRequest,
} from "./provider";

const t = texts.provider;
const TIMEOUT_MS = 15_000;
// A token is renewed this long before it expires, so that no request is rejected.
const RENEWAL_MS = 10_000;
// Expiration times are whole seconds, and the token takes time to arrive.
const CLOCK_MS = 2_000;
// The provider needs the user: its session has ended, or it wants to ask something.
const NEEDS_USER = new Set([
  "login_required",
  "interaction_required",
  "consent_required",
  "account_selection_required",
]);

/** A problem that the sign-in page shows. */
export class SignInError extends Error {}

/** The provider could not sign the user in without asking. */
export class NeedsUserError extends SignInError {
  constructor() {
    super(t.sessionEnded);
  }
}

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

/** Leaves the page for that of the provider. With `isSilent`, the provider asks the user nothing. */
export async function requestSignIn(provider: Provider, isSilent: boolean): Promise<void> {
  const { server } = await explain(discover(provider));
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
  keepRequest({ state, nonce, codeVerifier, returnTo: presentPage() });
  location.assign(address);
}

/**
 * Signs in with the response of the provider in the address. `onReturn` gets the page from which
 * the user came, also if the sign-in fails.
 */
export async function receiveResponse(
  provider: Provider,
  onReturn: (path: string) => Promise<void>,
): Promise<ProviderSession> {
  const address = new URL(location.href);
  const request = takeRequest();
  await onReturn(request?.returnTo ?? "/");
  // An attacker could sign the user in as someone else with a response to another request.
  if (request?.state !== address.searchParams.get("state")) throw new SignInError(t.wrongState);
  return explain(
    (async () => {
      const discovered = await discover(provider);
      const { server, client } = discovered;
      const parameters = oauth.validateAuthResponse(server, client, address, request!.state);
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        oauth.None(),
        parameters,
        REDIRECT_URL,
        request!.codeVerifier,
        { ...optionsFor(provider), additionalParameters: resourceOf(provider) },
      );
      const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
        expectedNonce: request!.nonce,
        requireIdToken: true,
      });
      return new ProviderSession(discovered, tokens);
    })(),
  );
}

const resourceOf = ({ resource }: Provider): Record<string, string> => (resource ? { resource } : {});

/** The tokens of a signed-in user. They are in memory only. */
export class ProviderSession {
  readonly displayName: string | null;
  private readonly idToken: string;
  private token = "";
  private refreshToken: string | undefined;
  private expiresAt = Infinity;
  private renewal: Promise<void> | null = null;

  constructor(
    private readonly discovered: Discovered,
    tokens: oauth.TokenEndpointResponse,
  ) {
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const name = claims?.[discovered.provider.displayNameClaim];
    this.displayName = typeof name === "string" ? name : null;
    this.idToken = tokens.id_token!;
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
    return this.token;
  };

  hasExpired(): boolean {
    return Date.now() > this.expiresAt - CLOCK_MS;
  }

  /** Returns the address at which the provider ends its session, if it has one. */
  findSignOutAddress(): URL | null {
    const { server, provider } = this.discovered;
    if (!server.end_session_endpoint) return null;
    const address = new URL(server.end_session_endpoint);
    address.searchParams.set("id_token_hint", this.idToken);
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
      if (!(error instanceof oauth.ResponseBodyError) || error.status >= 500) throw error;
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
      throw new NeedsUserError();
    }
    if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
      throw new SignInError(t.refused(error.error_description ?? error.error));
    }
    // fetch throws a TypeError, and a DOMException after the time limit.
    if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
      throw new SignInError(t.invalidResponse(error.message));
    }
    throw new SignInError(t.unreachable(PROVIDER_HOST));
  }
}
