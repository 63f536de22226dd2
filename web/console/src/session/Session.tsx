// Signing in by a key or by an identity provider. A key is shared with GraphiQL and with other tabs
// (see ../../../shared/useKey), and the console is shown once the server has accepted it.

import { TocsinError } from "@tocsin/client";
import { TocsinProvider } from "@tocsin/react";
import { keepPreviousData, QueryClientProvider, useQuery } from "@tanstack/react-query";
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
import { hasUnsavedInput } from "../common/unsavedInput";
import { type Api, ApiContext, connect, type GetToken, type Viewer } from "../api/client";
import { ViewerDocument, type ViewerQuery } from "../api/generated";
import { ErrorState, Loading } from "../shell/states";
import { KeySession } from "./keySession";
import { HandedOver, OrganizationForm, SignIn, SignInAgain, SignInWithOtherKey } from "./SignIn";
import { texts } from "../texts";
import { forgetOrganization, keepOrganization, storedOrganization } from "./organization";
import { forgetSession, PROVIDER } from "./provider";
import { useProvider } from "./useProvider";

interface Session {
  /** The name of the user at the identity provider. Null if the session has a key. */
  displayName: string | null;
  /** Changes when another credential has replaced that of the session. */
  credential: number;
  reportViewer: (viewer: Viewer) => void;
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

const VIEWER = String(ViewerDocument);

interface KeyGateProps {
  provider: Pick<ReturnType<typeof useProvider>, "problem" | "signIn" | "dismissProblem">;
  children: ReactNode;
}

function KeyGate({ provider, children }: KeyGateProps) {
  const { key, data, candidate, isVerifying, verify, retry, cancel, reject, signOut } = useKey<ViewerQuery>(VIEWER);
  const [session, setSession] = useState<KeySession | null>(null);
  /** The page waits for another key, because leaving it would lose what the user has entered. */
  const [isWaiting, setIsWaiting] = useState(false);
  /** Number of keys that the session has had. */
  const [keyCount, setKeyCount] = useState(1);

  useEffect(() => {
    if (!key || candidate || session?.hasKey(key)) return;
    const begin = () => {
      const next = new KeySession(key);
      setIsWaiting(false);
      setSession(next);
    };
    if (!session || !isWaiting) return begin();
    session.continueWith(key).then(
      (isSameOrganization) => {
        if (!isSameOrganization) return begin();
        setIsWaiting(false);
        setKeyCount((count) => count + 1);
      },
      (error: Error) => reject(key, { message: error.message, canRetry: true }),
    );
  }, [key, candidate, session, isWaiting, reject]);

  useEffect(() => {
    if (!session || !key) return;
    session.onEnd = () => {
      const isKept = hasUnsavedInput();
      if (!isKept) {
        forgetOrganization();
        setSession(null);
      }
      setIsWaiting(isKept);
      reject(key, NO_LONGER_VALID);
    };
  }, [session, key, reject]);

  function leave(): void {
    setIsWaiting(false);
    setSession(null);
    forgetOrganization();
    forgetSession(); // a reload would sign the user in by the provider
    signOut();
  }

  if (!isWaiting) {
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
  }
  // The session of another key is replaced in an effect. Its key is not sent again.
  if (!session || (!isWaiting && !(key && session.hasKey(key)))) return <Loading />;
  return (
    <>
      <SignedIn
        key={session.id}
        id={session.id}
        getToken={session.getToken}
        displayName={null}
        credential={keyCount}
        viewerOfCredential={data}
        onViewer={(viewer) => void (session.organizationId = viewer.organization.id)}
        onSignOut={leave}
        onRejected={() => session.onEnd()}
      >
        {children}
      </SignedIn>
      {isWaiting && (
        <SignInWithOtherKey
          problem={candidate?.problem ?? null}
          onKey={verify}
          onProvider={PROVIDER && provider.signIn}
          onRetry={retry}
          onSignOut={leave}
        />
      )}
    </>
  );
}

interface SignedInProps {
  id: string;
  getToken: GetToken;
  displayName: string | null;
  /** Changes when another credential has replaced that of the session. */
  credential?: number;
  /** The viewer without a chosen organization, if it is loaded. */
  viewerOfCredential?: ViewerQuery | null;
  onViewer?: (viewer: Viewer) => void;
  onSignOut: () => void;
  onRejected: (error: TocsinError) => void;
  children: ReactNode;
}

/** Everything inside uses one client, with one credential and organization. */
function SignedIn({
  id,
  getToken,
  displayName,
  credential = 1,
  viewerOfCredential = null,
  onViewer,
  onSignOut,
  onRejected,
  children,
}: SignedInProps) {
  const [organization, setOrganization] = useState(() => storedOrganization(id));
  const actions = useRef({ onViewer, onSignOut, onRejected });
  useEffect(
    () => void (actions.current = { onViewer, onSignOut, onRejected }),
    [onViewer, onSignOut, onRejected],
  );

  const session = useMemo(
    () => ({
      displayName,
      credential,
      reportViewer: (viewer: Viewer) => actions.current.onViewer?.(viewer),
      signOut: () => actions.current.onSignOut(),
      setOrganization: (next: string) => {
        keepOrganization(id, next);
        setOrganization(next);
      },
      reportError: (error: TocsinError | null) => {
        if (error?.code === "UNAUTHENTICATED") actions.current.onRejected(error);
      },
    }),
    [id, displayName, credential],
  );

  return (
    <SessionContext value={session}>
      <Connected
        key={`${id} ${organization}`}
        getToken={getToken}
        organization={organization}
        viewer={organization === null ? viewerOfCredential : null}
      >
        {children}
      </Connected>
    </SessionContext>
  );
}

interface ConnectedProps {
  getToken: GetToken;
  organization: string | null;
  /** Null if it has to be loaded. */
  viewer: ViewerQuery | null;
  children: ReactNode;
}

function Connected({ getToken, organization, viewer, children }: ConnectedProps) {
  const { reportError } = useSession();
  const connection = useMemo(
    () => connect(getToken, organization, reportError),
    [getToken, organization, reportError],
  );
  useEffect(() => () => connection.client.close(), [connection]);

  return (
    <QueryClientProvider client={connection.queries}>
      <TocsinProvider client={connection.client}>
        <WithViewer client={connection.client} viewer={viewer}>
          {children}
        </WithViewer>
      </TocsinProvider>
    </QueryClientProvider>
  );
}

interface WithViewerProps extends Pick<Api, "client">, Pick<ConnectedProps, "viewer" | "children"> {}

function WithViewer({ client, viewer, children }: WithViewerProps) {
  const { setOrganization, credential, reportViewer } = useSession();
  const { data, error, refetch } = useQuery({
    queryKey: ["viewer", credential],
    queryFn: ({ signal }) => client.request(ViewerDocument, {}, { signal }),
    initialData: viewer ?? undefined,
    placeholderData: keepPreviousData, // the page keeps what the user has entered
    staleTime: Infinity,
  });
  useEffect(() => {
    if (data) reportViewer(data.viewer);
  }, [data, reportViewer]);
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
