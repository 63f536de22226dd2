// node provider.mjs PORT SECONDS: an identity provider on 127.0.0.1, whose access tokens are valid for SECONDS,
// but those of eve for ten minutes.
// The name of the user who signs in determines the claims; every password is accepted.
import Provider from "oidc-provider";

const [port, seconds] = process.argv.slice(2).map(Number);
const PERMISSIONS = {
  ada: ["EVENT_READ", "EVENT_CREATE", "EVENT_UPDATE"],
  bob: ["EVENT_READ"],
  eve: ["EVENT_READ", "EVENT_CREATE"],
  guest: [],
};
const SIGN_IN_PATH = "/sign-in";

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "console",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: [`http://127.0.0.1${SIGN_IN_PATH}`],
      post_logout_redirect_uris: [`http://127.0.0.1${SIGN_IN_PATH}`],
    },
  ],
  clientBasedCORS: () => true,
  conformIdTokenClaims: false,
  claims: { openid: ["sub"], profile: ["name"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id} of the night shift` }) }),
  issueRefreshToken: (_, __, { accountId }) => !["bob", "eve"].includes(accountId),
  extraTokenClaims: (_, { accountId }) => ({
    tocsin: { keys: "default" },
    roles: PERMISSIONS[accountId],
  }),
  ttl: { AccessToken: (_, { accountId }) => (accountId === "eve" ? 600 : seconds) },
  features: {
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "",
        audience: "tocsin",
        accessTokenFormat: "jwt",
      }),
    },
  },
});

// Tocsin has a different port in each test.
for (const method of ["redirectUriAllowed", "postLogoutRedirectUriAllowed"]) {
  provider.Client.prototype[method] = (address) => new URL(address).pathname === SIGN_IN_PATH;
}

provider.listen(port, "127.0.0.1");
