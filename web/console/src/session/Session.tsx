// Signing in by a key or by an identity provider. A key is shared with GraphiQL and with other tabs
// (see ../../../shared/useKey), and the console is shown once the server has accepted it.

import { TocsinError } from "@tocsin/client";
import { TocsinProvider } from "@tocsin/react";
import { QueryClientProvider, useQuery } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useKey } from "../../../shared/useKey";
import { NO_LONGER_VALID } from "../../../shared/verify";
import { type Api, ApiContext, connect, type GetToken } from "../api/client";
import { ViewerDocument } from "../api/generated";
import { ErrorState, Loading } from "../shell/states";
import { HandedOver, OrganizationForm, SignIn, SignInAgain } from "./SignIn";
import { texts } from "../texts";
import { forgetOrganization, keepOrganization, storedOrganization } from "./organization";
import { forgetSession, PROVIDER } from "./provider";
import { useProvider } from "./useProvider";

// Enough of a key to tell it from another one.
const KEY_PART = 8;

interface Session {
  /** The name of the user at the identity provider. Null if the session has a key. */
  displayName: string | null;
  /** Ends the session if the error says that the server no longer accepts the credential. */
  reportError: (error: TocsinError | null) => void;
  signOut: () => void;
  setOrganization: (key: string) => void;
}

const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession is used outside the session.");
  return session;
}

interface SessionGateProps {
  /** Opens the page from which the identity provider was asked. Is always the same function. */
  onReturn: (path: string) => Promise<void>;
  children: ReactNode;
}

export function SessionGate({ onReturn, children }: SessionGateProps) {
  const provider = useProvider(onReturn);
  const { session, isBusy, isHandedOver, problem, signInAgain, signOut, reject } = provider;

  if (isBusy) return <Loading message={texts.provider.busy} />;
  if (isHandedOver) return <HandedOver />;
  if (!session) return <KeyGate provider={provider}>{children}</KeyGate>;
  const id = `provider ${session.subject}`;
  return (
    <>
      <SignedIn
        key={id}
        id={id}
        getToken={session.getToken}
        displayName={session.displayName}
        onSignOut={signOut}
        onRejected={reject}
      >
        {children}
      </SignedIn>
      {problem && (
        <SignInAgain problem={problem} onSignIn={() => void signInAgain()} onSignOut={signOut} />
      )}
    </>
  );
}

interface KeyGateProps {
  provider: Pick<ReturnType<typeof useProvider>, "problem" | "signIn" | "dismissProblem">;
  children: ReactNode;
}

function KeyGate({ provider, children }: KeyGateProps) {
  const { key, candidate, isVerifying, verify, retry, cancel, reject, signOut } = useKey();
  const getToken = useCallback(() => key ?? "", [key]);

  if (isVerifying) return <Loading message={texts.signIn.verifying} />;
  if (!key || candidate) {
    return (
      <SignIn
        problem={candidate?.problem ?? provider.problem}
        onKey={(next) => {
          provider.dismissProblem();
          verify(next);
        }}
        onProvider={PROVIDER && provider.signIn}
        onRetry={candidate ? retry : provider.signIn}
        onCancel={key && candidate?.key !== key ? cancel : null}
      />
    );
  }
  return (
    <SignedIn
      key={key}
      id={`key ${key.slice(-KEY_PART)}`}
      getToken={getToken}
      displayName={null}
      onSignOut={() => {
        forgetOrganization();
        forgetSession(); // a reload would sign the user in by the provider
        signOut();
      }}
      onRejected={() => {
        forgetOrganization();
        reject(key, NO_LONGER_VALID);
      }}
    >
      {children}
    </SignedIn>
  );
}

interface SignedInProps {
  id: string;
  getToken: GetToken;
  displayName: string | null;
  onSignOut: () => void;
  onRejected: (error: TocsinError) => void;
  children: ReactNode;
}

/** Everything inside uses one client, with one credential and organization. */
function SignedIn({ id, getToken, displayName, onSignOut, onRejected, children }: SignedInProps) {
  const [organization, setOrganization] = useState(() => storedOrganization(id));
  const actions = useRef({ onSignOut, onRejected });
  useEffect(() => void (actions.current = { onSignOut, onRejected }), [onSignOut, onRejected]);

  const session = useMemo(
    () => ({
      displayName,
      signOut: () => actions.current.onSignOut(),
      setOrganization: (next: string) => {
        keepOrganization(id, next);
        setOrganization(next);
      },
      reportError: (error: TocsinError | null) => {
        if (error?.code === "UNAUTHENTICATED") actions.current.onRejected(error);
      },
    }),
    [id, displayName],
  );

  return (
    <SessionContext value={session}>
      <Connected key={`${id} ${organization}`} getToken={getToken} organization={organization}>
        {children}
      </Connected>
    </SessionContext>
  );
}

interface ConnectedProps {
  getToken: GetToken;
  organization: string | null;
  children: ReactNode;
}

function Connected({ getToken, organization, children }: ConnectedProps) {
  const { reportError } = useSession();
  const connection = useMemo(
    () => connect(getToken, organization, reportError),
    [getToken, organization, reportError],
  );
  useEffect(() => () => connection.client.close(), [connection]);

  return (
    <QueryClientProvider client={connection.queries}>
      <TocsinProvider client={connection.client}>
        <WithViewer client={connection.client}>{children}</WithViewer>
      </TocsinProvider>
    </QueryClientProvider>
  );
}

function WithViewer({ client, children }: Pick<Api, "client"> & { children: ReactNode }) {
  const { setOrganization } = useSession();
  const { data, error, refetch } = useQuery({
    queryKey: ["viewer"],
    queryFn: ({ signal }) => client.request(ViewerDocument, {}, { signal }),
    staleTime: Infinity,
  });
  const api = useMemo<Api | null>(
    () =>
      data
        ? {
            client,
            viewer: data.viewer,
            can: (permission) => data.viewer.permissions.includes(permission),
          }
        : null,
    [client, data],
  );

  if (api) return <ApiContext value={api}>{children}</ApiContext>;
  if (!error) return <Loading />;
  return error instanceof TocsinError && error.code === "FORBIDDEN" ? (
    <OrganizationForm message={error.message} onOrganization={setOrganization} />
  ) : (
    <ErrorState error={error} onRetry={() => void refetch()} />
  );
}
