// Signing in and out. Who the caller is, the server alone says.

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
    // Nobody is an answer, not an error: a browser shows errors in its console.
    const answer = await this.ask("GET", "me?anonymous=1") as Partial<Me> | null;
    const me = typeof answer?.user_id !== "string" ? null
      : { ...answer, user_id: answer.user_id, email: answer.email ?? "", roles: answer.roles ?? [] };
    this.learn(me);
    return me;
  }

  /** Has a code sent to this address; the answer is the same whether it is known or not. */
  async sendCode(email: string): Promise<void> {
    await this.ask("POST", "magic/send", { email });
  }

  /** Signs in with the code of the mail. */
  verifyCode(email: string, code: string): Promise<SignedIn> {
    return this.enter("magic/verify", { email, code });
  }

  /** Signs in as anybody; there in development only. */
  devLogin(email: string, roles?: readonly string[]): Promise<SignedIn> {
    return this.enter("dev/login", { email, roles });
  }

  /** Leaves for the sign-in page, which leads back: to this page, or another of the app. */
  signIn(next = location.pathname + location.search): void {
    location.assign(`/auth/?next=${encodeURIComponent(next)}`);
  }

  /** What this user saw leaves the browser; whoever he is then, the server says. */
  async leave(): Promise<void> {
    await this.tab.ask("forget");
  }

  /** Signs out. What this user saw leaves the browser first, whatever happens next (I33). */
  async signOut(): Promise<void> {
    this.learn(null);
    await this.leave();
    try {
      await this.ask("POST", "logout");
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

  /** Signs in by a route under `/api/auth/` that answers with a session, such as `password/login`.
   * From the moment the server knows another caller, rows of the one before are not shown again. */
  async enter(route: string, body: object): Promise<SignedIn> {
    await this.tab.ask("doubt");
    let answer: unknown;
    try {
      answer = await this.ask("POST", route, body);
      await this.leave();
    } finally {
      await this.tab.ask("believe");
    }
    await this.me();
    return answer as SignedIn;
  }

  /** @internal */
  ask(method: string, route: string, body?: object): Promise<unknown> {
    return this.tab.requests.ask(method, `/api/auth/${route}`, body);
  }

  private learn(me: Me | null): void {
    const isSame = me === null ? this.known === null : JSON.stringify(me) === JSON.stringify(this.known);
    if (isSame) return;
    this.known = me;
    for (const listener of [...this.listeners]) guarded(listener);
  }
}
