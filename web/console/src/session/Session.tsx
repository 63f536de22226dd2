// Signing in: the console is shown once the server has accepted a key. The key is shared with
// GraphiQL and with other tabs (see ../../../shared/key).

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
import { forgetKey, keepKey, keyInLink, removeLink, shareKey, storedKey } from "../../../shared/key";
import { NO_LONGER_VALID, type Problem, verifyKey } from "../../../shared/verify";
import { type Api, ApiContext, connect } from "../api/client";
import { ViewerDocument } from "../api/generated";
import { ErrorState, Loading } from "../shell/states";
import { OrganizationForm, SignIn } from "./SignIn";
import { texts } from "../texts";
import { forgetOrganization, keepOrganization, storedOrganization } from "./organization";

/** A key that is being verified, or that has a problem. */
interface Candidate {
  key: string;
  problem: Problem | null;
}

interface Session {
  /** Ends the session if the error says that the server no longer accepts the key. */
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

function firstCandidate(): Candidate | null {
  const key = keyInLink() ?? storedKey();
  return key ? { key, problem: null } : null;
}

export function SessionGate({ children }: { children: ReactNode }) {
  const [key, setKey] = useState<string | null>(null);
  const [candidate, setCandidate] = useState(firstCandidate);
  const [organization, setOrganization] = useState(storedOrganization);

  useEffect(() => {
    if (!candidate || candidate.problem) return;
    const abort = new AbortController();
    void verifyKey(candidate.key, abort.signal).then((problem) => {
      if (abort.signal.aborted) return;
      // Until the key is verified, the link stays in the address so that a reload tries it again.
      if (!problem?.canRetry) removeLink();
      if (problem) {
        if (!problem.canRetry) forgetKey(candidate.key);
        setCandidate({ ...candidate, problem });
        return;
      }
      keepKey(candidate.key);
      setKey(candidate.key);
      setCandidate(null);
    });
    return () => abort.abort();
  }, [candidate]);

  useEffect(() => {
    // A link that is opened in a tab with this page changes the fragment and loads nothing.
    const takeLink = () => {
      const next = keyInLink();
      if (next) setCandidate({ key: next, problem: null });
    };
    addEventListener("hashchange", takeLink);
    return () => removeEventListener("hashchange", takeLink);
  }, []);

  useEffect(
    () =>
      shareKey((shared) =>
        setCandidate((now) => (now && !now.problem ? now : { key: shared, problem: null })),
      ),
    [],
  );

  const choose = useCallback((next: string) => {
    keepOrganization(next);
    setOrganization(next);
  }, []);

  const leave = useCallback(
    (problem: Problem | null) => {
      if (key) forgetKey(key);
      forgetOrganization();
      setOrganization(null);
      setKey(null);
      setCandidate(problem && key ? { key, problem } : null);
    },
    [key],
  );

  const session = useMemo(
    () => ({
      signOut: () => leave(null),
      setOrganization: choose,
      reportError: (error: TocsinError | null) => {
        if (error?.code === "UNAUTHENTICATED") leave(NO_LONGER_VALID);
      },
    }),
    [leave, choose],
  );

  if (candidate && !candidate.problem) return <Loading message={texts.signIn.verifying} />;
  if (!key || candidate) {
    return (
      <SignIn
        problem={candidate?.problem ?? null}
        onKey={(next) => setCandidate({ key: next, problem: null })}
        onRetry={() => candidate && setCandidate({ ...candidate, problem: null })}
        onCancel={key ? () => setCandidate(null) : null}
      />
    );
  }
  return (
    <SessionContext value={session}>
      <Connected
        key={`${key} ${organization}`}
        secret={key}
        organization={organization}
        onRejected={() => leave(NO_LONGER_VALID)}
      >
        {children}
      </Connected>
    </SessionContext>
  );
}

interface ConnectedProps {
  secret: string;
  organization: string | null;
  onRejected: () => void;
  children: ReactNode;
}

/** Everything inside uses one client, with one key and organization. */
function Connected({ secret, organization, onRejected, children }: ConnectedProps) {
  const rejected = useRef(onRejected);
  useEffect(() => void (rejected.current = onRejected), [onRejected]);
  const connection = useMemo(
    () => connect(secret, organization, () => rejected.current()),
    [secret, organization],
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
