import { TemporaryError, TocsinError } from "./errors.js";

export type GetToken = (rejected: string | null) => string | Promise<string>;

/**
 * Gets tokens, and a new one after the server has rejected one. If the server rejects the new one,
 * too, or the new one is the same, no other is tried.
 */
export class Tokens {
  private rejected: string | null = null;
  private accepted: string | null = null;
  private reason = "";

  constructor(private readonly getToken: GetToken) {}

  async take(): Promise<string> {
    const token = await this.getNext();
    if (token === this.rejected) throw this.refusal();
    return token;
  }

  private async getNext(): Promise<string> {
    try {
      return await this.getToken(this.rejected);
    } catch (error) {
      if (error instanceof TocsinError) throw error;
      throw Object.assign(new TemporaryError(`There is no token: ${error}`), { cause: error });
    }
  }

  accept(token: string): void {
    this.accepted = token;
    this.rejected = null;
  }

  /** Throws if a new token would not help. Several operations may report the same token. */
  reject(token: string, reason: string): void {
    if (token === this.rejected) return;
    this.reason = reason;
    const replacedOne = this.rejected !== null && token !== this.accepted;
    this.rejected = token;
    if (replacedOne) throw this.refusal();
  }

  private refusal(): TocsinError {
    return new TocsinError(
      "UNAUTHENTICATED",
      `The server does not accept the token${this.reason && `: ${this.reason}`}`,
    );
  }
}
