// The session of a key. Its requests wait while the server no longer accepts the key.

import { createTocsinClient, TocsinError } from "@tocsin/client";
import { API_URL } from "../../../shared/server";
import { ViewerDocument } from "../api/generated";
import { storedOrganization } from "./organization";

// Enough of a key to tell it from another one.
const KEY_PART = 8;

export class KeySession {
  /** Stays the same when another key replaces the first one. */
  readonly id: string;
  /** Is called when the server no longer accepts the key. Requests wait until there is another one. */
  onEnd = (): void => {};
  /** ID of the organization that the page shows. */
  organizationId: string | null = null;
  private newKey: Promise<void> | null = null;
  private resume = (): void => {};

  constructor(private key: string) {
    this.id = `key ${key.slice(-KEY_PART)}`;
  }

  readonly getToken = async (rejected: string | null): Promise<string> => {
    if (rejected === this.key) {
      if (!this.newKey) {
        this.newKey = new Promise((resolve) => (this.resume = resolve));
        this.onEnd();
      }
      await this.newKey;
    }
    return this.key;
  };

  hasKey(key: string): boolean {
    return key === this.key && !this.newKey;
  }

  /**
   * Continues with another key, if it gives access to the organization of the page. Returns whether it does.
   * Throws if the server does not answer that.
   */
  async continueWith(key: string): Promise<boolean> {
    const organization = storedOrganization(this.id) ?? undefined;
    const client = createTocsinClient({ url: API_URL, getToken: () => key, organization });
    try {
      const { viewer } = await client.request(ViewerDocument);
      if (viewer.organization.id !== this.organizationId) return false;
    } catch (error) {
      if (error instanceof TocsinError && error.code === "FORBIDDEN") return false;
      throw error;
    } finally {
      client.close();
    }
    this.key = key;
    this.newKey = null;
    this.resume();
    return true;
  }
}
