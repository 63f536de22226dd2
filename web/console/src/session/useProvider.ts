// Whether the user is signed in by the identity provider.

import { useCallback, useEffect, useMemo, useState } from "react";
import { keyInLink, storedKey } from "../../../shared/key";
import type { Problem } from "../../../shared/verify";
import type { ProviderSession } from "./openid";
import { forgetOrganization } from "./organization";
import { forgetSession, hasSession, isResponse, keepSession, PROVIDER, watchSession } from "./provider";

interface ProviderState {
  /** The page asks the provider, or leaves for its page. */
  isBusy: boolean;
  session: ProviderSession | null;
  problem: Problem | null;
}

const SIGNED_OUT: ProviderState = { isBusy: false, session: null, problem: null };
const BUSY: ProviderState = { ...SIGNED_OUT, isBusy: true };

/** A reload signs in again without a question, unless there is a key. */
const startsSilently = (): boolean => hasSession() && !keyInLink() && !storedKey();

const withProblem = (error: unknown): ProviderState => ({
  ...SIGNED_OUT,
  problem: { message: error instanceof Error ? error.message : String(error), canRetry: true },
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
      setState(withProblem(error));
    }
  }, []);

  const receive = useCallback(async () => {
    try {
      const session = await (await import("./openid")).receiveResponse(PROVIDER!, onReturn);
      keepSession();
      setState({ ...SIGNED_OUT, session });
    } catch (error) {
      forgetSession();
      setState(withProblem(error));
    }
  }, [onReturn]);

  useEffect(() => {
    if (!PROVIDER) return;
    if (isResponse()) void receive();
    else if (startsSilently()) void signIn(true);
  }, [receive, signIn]);

  useEffect(() => {
    const leave = () => setState(SIGNED_OUT);
    const takeLink = () => keyInLink() && leave();
    // The user has gone back from the page of the provider.
    const show = ({ persisted }: PageTransitionEvent) => persisted && leave();
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
      dismissProblem: () => setState(SIGNED_OUT),
      /** Ends the session here and at the provider. */
      signOut: () => {
        const address = session?.findSignOutAddress() ?? null;
        forgetSession();
        forgetOrganization();
        setState(address ? BUSY : SIGNED_OUT);
        if (address) location.assign(address);
      },
      /** The server no longer accepts the token: the provider may have a new one. */
      reject: (error: Error) => {
        if (session?.hasExpired()) {
          void signIn(true);
        } else {
          forgetSession();
          setState(withProblem(error));
        }
      },
    };
  }, [state, signIn]);
}
