// The organization that a user of this tab has chosen. The next user does not get it.

import { API_URL } from "../../../shared/server";

const STORAGE_KEY = `tocsin:chosen-organization:${new URL(API_URL).pathname}`;

interface Choice {
  user: string;
  organization: string;
}

/** Returns the choice of the user. Null if the user has made none. */
export function storedOrganization(user: string): string | null {
  const stored = sessionStorage.getItem(STORAGE_KEY);
  const choice = stored === null ? null : (JSON.parse(stored) as Choice);
  return choice?.user === user ? choice.organization : null;
}

export const keepOrganization = (user: string, organization: string): void =>
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ user, organization } satisfies Choice));

export const forgetOrganization = (): void => sessionStorage.removeItem(STORAGE_KEY);
