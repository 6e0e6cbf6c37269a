// Signing in and out. Who the caller is, the server alone says.

import { PylonError } from "./errors.ts";
import { guarded } from "./live.ts";
import type { Tab } from "./tab.ts";

/** The signed-in user. */
export interface Me {
  readonly user_id: string;
  readonly email: string;
  readonly roles: readonly string[];
}

/** What a successful sign-in answers; the cookie is set as well. */
export interface SignedIn {
  readonly token: string;
  readonly user_id: string;
  readonly expires_at: string;
}

export class Auth {
  private known: Me | null | undefined;
  private readonly listeners = new Set<() => void>();

  /** @internal */
  constructor(private readonly tab: Tab) {
    tab.onCaller((caller) => {
      if (caller.user_id === null) this.learn(null);
      else if (this.known?.user_id !== caller.user_id) this.me().catch(() => undefined);
    });
  }

  /** Who is signed in as far as is known: undefined before the server said so. */
  get user(): Me | null | undefined {
    return this.known;
  }

  /** Asks who is signed in; null for nobody. */
  async me(): Promise<Me | null> {
    let me: Me | null = null;
    try {
      const answer = await this.tab.requests.ask("GET", "/api/auth/me") as Partial<Me> | null;
      if (typeof answer?.user_id === "string") {
        me = { ...answer, user_id: answer.user_id, email: answer.email ?? "", roles: answer.roles ?? [] };
      }
    } catch (error) {
      if (!(error instanceof PylonError) || error.code !== "UNAUTHENTICATED") throw error;
    }
    this.learn(me);
    return me;
  }

  /** Has a code sent to this address; the answer is the same whether it is known or not. */
  async sendCode(email: string): Promise<void> {
    await this.tab.requests.ask("POST", "/api/auth/magic/send", { email });
  }

  /** Signs in with the code of the mail. */
  async verifyCode(email: string, code: string): Promise<SignedIn> {
    return this.signIn("/api/auth/magic/verify", { email, code });
  }

  /** Signs in as anybody; there in development only. */
  async devLogin(email: string, roles?: readonly string[]): Promise<SignedIn> {
    const body = roles === undefined ? { email } : { email, roles };
    return this.signIn("/api/auth/dev/login", body);
  }

  /** Signs out. What this user saw leaves the browser first, whatever happens next (I33). */
  async signOut(): Promise<void> {
    this.learn(null);
    await this.tab.ask("forget");
    try {
      await this.tab.requests.ask("POST", "/api/auth/logout");
    } finally {
      await this.tab.ask("believe");
    }
  }

  /** Calls whenever `user` changes; returns how to stop. */
  readonly onChange = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  /** From the moment the server knows another caller, rows of the one before are not shown again. */
  private async signIn(path: string, body: object): Promise<SignedIn> {
    await this.tab.ask("doubt");
    let answer: unknown;
    try {
      answer = await this.tab.requests.ask("POST", path, body);
      await this.tab.ask("forget");
    } finally {
      await this.tab.ask("believe");
    }
    await this.me();
    return answer as SignedIn;
  }

  private learn(me: Me | null): void {
    const isSame = me === null ? this.known === null : JSON.stringify(me) === JSON.stringify(this.known);
    if (isSame) return;
    this.known = me;
    for (const listener of [...this.listeners]) guarded(listener);
  }
}
