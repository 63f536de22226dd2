// Whether the user is signed in by the identity provider.

import { useCallback, useEffect, useMemo, useState } from "react";
import { keyInLink, storedKey } from "../../../shared/key";
import type { Problem } from "../../../shared/verify";
import { hasUnsavedInput } from "../common/unsavedInput";
import { texts } from "../texts";
import type { ProviderSession } from "./openid";
import { forgetOrganization } from "./organization";
import {
  endSession,
  forgetSession,
  hasSession,
  isResponse,
  keepSession,
  offerResponse,
  PROVIDER,
  stateOfResponse,
  takeRequest,
  watchSession,
} from "./provider";

const t = texts.provider;

interface ProviderState {
  /** The page asks the provider, or leaves for its page. */
  isBusy: boolean;
  /** Another tab has taken the response for which this window was opened. */
  isHandedOver: boolean;
  session: ProviderSession | null;
  /** With a session: why the user has to sign in again. */
  problem: Problem | null;
}

const SIGNED_OUT: ProviderState = { isBusy: false, isHandedOver: false, session: null, problem: null };
const BUSY: ProviderState = { ...SIGNED_OUT, isBusy: true };

/** A reload signs in again without a question, unless there is a key. */
const startsSilently = (): boolean => hasSession() && !keyInLink() && !storedKey();

const describeProblem = (error: unknown): Problem => ({
  message: error instanceof Error ? error.message : String(error),
  canRetry: true,
});

/** `onReturn` gets the page from which the user came, after the provider has sent the user back. */
export function useProvider(onReturn: (path: string) => Promise<void>) {
  const [state, setState] = useState(() =>
    PROVIDER && (isResponse() || startsSilently()) ? BUSY : SIGNED_OUT,
  );

  const signIn = useCallback(async (isSilent = false) => {
    setState(BUSY);
    try {
      await (await import("./openid")).requestSignIn(PROVIDER!, isSilent);
    } catch (error) {
      setState({ ...SIGNED_OUT, problem: describeProblem(error) });
    }
  }, []);

  const showProblem = useCallback(
    (problem: Problem) => setState((now) => ({ ...now, isBusy: false, problem })),
    [],
  );

  const begin = useCallback(
    (session: ProviderSession) => {
      session.onEnd = () => {
        const hasExpired = session.hasExpired();
        if (hasExpired && !hasUnsavedInput()) {
          // The provider sends the user back to this page, without a question if its session still exists.
          import("./openid")
            .then(({ requestSignIn }) => requestSignIn(PROVIDER!, true))
            .catch((error) => showProblem(describeProblem(error)));
        } else {
          showProblem({ message: hasExpired ? t.expired : t.rejected, canRetry: true });
        }
      };
      keepSession();
      setState({ ...SIGNED_OUT, session });
    },
    [showProblem],
  );

  const receive = useCallback(async () => {
    const response = new URL(location.href);
    const request = takeRequest(stateOfResponse());
    if (!request && (await offerResponse())) {
      setState({ ...SIGNED_OUT, isHandedOver: true });
      close();
      return;
    }
    await onReturn(request?.returnTo ?? "/");
    // Without the state of a request of this tab, anyone may have made the link: to sign the user in as someone
    // else, or out.
    if (!request) {
      if (startsSilently()) return signIn(true);
      setState({ ...SIGNED_OUT, problem: { message: t.wrongState, canRetry: true } });
      return;
    }
    const { receiveResponse, NotSignedInError } = await import("./openid");
    try {
      begin(await receiveResponse(PROVIDER!, request, response));
    } catch (error) {
      if (error instanceof NotSignedInError) forgetSession();
      setState({ ...SIGNED_OUT, problem: describeProblem(error) });
    }
  }, [begin, onReturn, signIn]);

  useEffect(() => {
    if (!PROVIDER) return;
    if (isResponse()) void receive();
    else if (startsSilently()) void signIn(true);
  }, [receive, signIn]);

  useEffect(() => {
    const leave = () => setState(SIGNED_OUT);
    const takeLink = () => keyInLink() && leave();
    // The page comes back from the cache of the browser as it was before the provider was asked, or before
    // the user has signed out.
    const show = ({ persisted }: PageTransitionEvent) => {
      if (persisted) setState((now) => (now.session && hasSession() ? now : SIGNED_OUT));
    };
    const stopWatching = watchSession(leave);
    addEventListener("hashchange", takeLink);
    addEventListener("pageshow", show);
    return () => {
      stopWatching();
      removeEventListener("hashchange", takeLink);
      removeEventListener("pageshow", show);
    };
  }, []);

  return useMemo(() => {
    const { session } = state;
    return {
      ...state,
      signIn: () => void signIn(),
      /** Signs in again in a window of its own, while this page stays as it is. */
      signInAgain: async () => {
        if (!session) return;
        try {
          const next = await session.signInAgain();
          if (next === session) setState({ ...SIGNED_OUT, session });
          else begin(next);
        } catch (error) {
          if (!(error instanceof DOMException && error.name === "AbortError")) {
            showProblem(describeProblem(error));
          }
        }
      },
      dismissProblem: () => setState(SIGNED_OUT),
      /** Ends the session here, in other tabs and at the provider. */
      signOut: () => {
        const address = session?.findSignOutAddress() ?? null;
        endSession();
        forgetOrganization();
        setState(address ? BUSY : SIGNED_OUT);
        if (address) location.assign(address);
      },
      /** The server accepts neither the token nor the one that the provider has issued instead. */
      reject: () => showProblem({ message: t.rejected, canRetry: true }),
    };
  }, [state, signIn, begin, showProblem]);
}
