// Signing in: the console is shown once the server has accepted a key. The key is shared with
// GraphiQL and with other tabs (see ../../../shared/useKey).

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
import { NO_LONGER_VALID, type Problem } from "../../../shared/verify";
import { type Api, ApiContext, connect } from "../api/client";
import { ViewerDocument } from "../api/generated";
import { ErrorState, Loading } from "../shell/states";
import { OrganizationForm, SignIn } from "./SignIn";
import { texts } from "../texts";
import { forgetOrganization, keepOrganization, storedOrganization } from "./organization";

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

export function SessionGate({ children }: { children: ReactNode }) {
  const { key, candidate, isVerifying, verify, retry, cancel, reject, signOut } = useKey();
  const [organization, setOrganization] = useState(storedOrganization);

  const choose = useCallback((next: string) => {
    keepOrganization(next);
    setOrganization(next);
  }, []);

  const leave = useCallback(
    (problem: Problem | null) => {
      forgetOrganization();
      setOrganization(null);
      if (problem && key) reject(key, problem);
      else signOut();
    },
    [key, reject, signOut],
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

  if (isVerifying) return <Loading message={texts.signIn.verifying} />;
  if (!key || candidate) {
    return (
      <SignIn
        problem={candidate?.problem ?? null}
        onKey={verify}
        onRetry={retry}
        onCancel={key && candidate?.key !== key ? cancel : null}
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
