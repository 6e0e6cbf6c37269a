// Signing in and out. Who the caller is, the server alone says.

import type { Caller } from "./events.ts";
import { guarded } from "./observed.ts";
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
  private isLost = false;
  private readonly listeners = new Set<() => void>();

  /** @internal */
  constructor(private readonly tab: Tab) {
    const heed = ({ user_id }: Caller): void => {
      // The socket may be another tab's, from before somebody signed in at a provider or by a link.
      if (user_id === null && tab.isLeading) this.learn(null);
      else if (this.known === undefined || (this.known?.user_id ?? null) !== user_id) this.agree(user_id).catch(() => undefined);
    };
    tab.onCaller(heed);
    if (tab.caller !== null) heed(tab.caller);
  }

  /** Has the connection begin anew where the server knows this browser as another than the socket does. */
  private async agree(user: string | null): Promise<void> {
    const me = await this.me();
    if ((me?.user_id ?? null) === user || this.tab.caller?.user_id !== user) return;
    await this.tab.ask("forget");
    await this.tab.ask("believe");
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

  /** @internal Before a page that may sign somebody else in: what this user saw leaves the browser.
   * Another tab that leads goes on; it is told when its session ends. */
  async leave(): Promise<void> {
    if (this.tab.isLeading) await this.tab.ask("forget");
  }

  /** Signs out. What this user saw leaves the browser first, whatever happens next (I33). */
  async signOut(): Promise<void> {
    this.learn(null);
    await this.tab.ask("forget");
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
    } catch (error) {
      // An answer that was lost may have been a yes: whose the rows are, the server says at the next visit.
      this.isLost ||= (error as { code?: string }).code === "UNAVAILABLE";
      if (!this.isLost) await this.tab.ask("believe");
      throw error;
    }
    this.isLost = false;
    try {
      await this.tab.ask("forget");
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
