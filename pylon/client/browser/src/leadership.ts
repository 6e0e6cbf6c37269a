// Who leads among the tabs of one browser: events in, commands out. Pure.
//
//   seeking --leader heard--> following --lock granted--> leading --lock lost--> seeking
//   seeking, following --a leader of another kind--> alone;  any --closed--> closed
//
// With Web Locks the browser itself hands leadership on when a tab dies; a leader that holds the lock
// and does not answer is robbed of it. Without them tabs claim it: a claim that nobody objects to for
// a moment stands, and of two leaders the one of the lower term yields. Neither is trusted with the
// data: the store checks its owner in every write, and the server knows every operation by its id.
//
// What does not live here: what leading and following mean (`tab`), locks and channels (`rivalry`).

import { TABS_VERSION, type TabMessage, type TabNews, type TabRequest, type TabSaying } from "./tab-messages.ts";

export type Role = "seeking" | "following" | "leading" | "alone" | "closed";
export type TabTimer = "seek" | "claim" | "silence" | "answer" | "members";

export type TabEvent =
  /** `key` names whose connection it is: tabs with tokens of their own do not share one. */
  | { readonly type: "started"; readonly id: string; readonly key: string; readonly has_locks: boolean }
  | { readonly type: "granted" }
  | { readonly type: "lost" }
  | { readonly type: "heard"; readonly message: TabMessage }
  | { readonly type: "fired"; readonly timer: TabTimer }
  /** Something was asked of the leader, or somebody looks: it should be heard soon. */
  | { readonly type: "asked" }
  | { readonly type: "closed" };

export type TabCommand =
  | { readonly type: "request_lock" }
  | { readonly type: "steal_lock" }
  | { readonly type: "release_lock" }
  | { readonly type: "say"; readonly message: TabMessage }
  | { readonly type: "become"; readonly role: Role; readonly leader: string | null }
  /** For the leader: a follower asks; `forget_tab` when one is gone. */
  | { readonly type: "serve"; readonly tab: string; readonly request: TabRequest }
  | { readonly type: "forget_tab"; readonly tab: string }
  /** For a follower: the leader tells. */
  | { readonly type: "take"; readonly news: TabNews }
  | { readonly type: "set_timer"; readonly timer: TabTimer; readonly ms: number }
  | { readonly type: "clear_timer"; readonly timer: TabTimer };

/** Milliseconds. Killed leaders are replaced at once with locks, and in the sum of these without. */
const TIMES = {
  locks: { seek: 2_000, claim: 0, silence: 5_000, answer: 2_000 },
  claims: { seek: 150, claim: 150, silence: 1_500, answer: 1_500 },
};
const ASKED_MS = 500;
/** A hidden tab may sleep a minute between two of its timers: followers have two of these to speak. */
const MEMBERS_MS = 75_000;

export class Leadership {
  role: Role = "seeking";
  private commands: TabCommand[] = [];
  private id = "";
  private key = "";
  private hasLocks = false;
  private leader: string | null = null;
  private term = 0;
  /** Followers, and whether they spoke since the last count. */
  private readonly members = new Map<string, boolean>();
  /** The leader was asked something: silence is not waited out. */
  private isExpecting = false;

  step(event: TabEvent): readonly TabCommand[] {
    this.commands = [];
    if (this.role !== "closed") this.take(event);
    return this.commands;
  }

  private take(event: TabEvent): void {
    switch (event.type) {
      case "started":
        this.id = event.id;
        this.key = event.key;
        this.hasLocks = event.has_locks;
        return this.seek();
      case "granted": return this.lead();
      case "lost": return this.role === "leading" ? this.stepDown() : undefined;
      case "heard": return this.hear(event.message);
      case "fired": return this.fire(event.timer);
      case "asked": return this.expectLeader();
      case "closed": return this.close();
      default: event satisfies never;
    }
  }

  private get times(): typeof TIMES.locks {
    return this.hasLocks ? TIMES.locks : TIMES.claims;
  }

  // --- changing roles

  private seek(): void {
    this.become("seeking", null);
    if (this.hasLocks) this.commands.push({ type: "request_lock" });
    this.say({ type: "who", key: this.key });
    this.setTimer("seek", this.times.seek);
  }

  private lead(): void {
    if (this.role === "alone" || this.role === "leading") return;
    this.term += 1;
    this.become("leading", null);
    this.setTimer("members", MEMBERS_MS);
    this.say(this.leading(true));
  }

  private follow(leader: string, term: number): void {
    const wasLeading = this.role === "leading";
    this.term = Math.max(this.term, term);
    this.become("following", leader);
    if (wasLeading) {
      this.commands.push({ type: "release_lock" });
      if (this.hasLocks) this.commands.push({ type: "request_lock" });
    }
    this.heardLeader();
  }

  private stepDown(): void {
    this.members.clear();
    this.seek();
  }

  private goAlone(): void {
    this.commands.push({ type: "release_lock" });
    this.become("alone", null);
  }

  private close(): void {
    this.become("closed", null);
    this.say({ type: "bye" });
    this.commands.push({ type: "release_lock" });
  }

  private become(role: Role, leader: string | null): void {
    for (const timer of ["seek", "claim", "silence", "answer", "members"] as const) {
      this.commands.push({ type: "clear_timer", timer });
    }
    this.isExpecting = false;
    this.members.clear();
    this.role = role;
    this.leader = leader;
    this.commands.push({ type: "become", role, leader });
  }

  // --- timers

  private fire(timer: TabTimer): void {
    switch (timer) {
      // Nobody answered: whoever holds the lock is frozen, or gone without a word.
      case "seek": return this.role === "seeking" ? this.takeOver() : undefined;
      case "claim": return this.role === "seeking" ? this.lead() : undefined;
      case "silence": return this.role === "following" ? this.ask() : undefined;
      case "answer": return this.role === "following" ? this.replaceLeader() : undefined;
      case "members": return this.role === "leading" ? this.countMembers() : undefined;
      default: timer satisfies never;
    }
  }

  private takeOver(): void {
    if (this.hasLocks) {
      this.commands.push({ type: "steal_lock" });
      return this.setTimer("seek", this.times.seek);
    }
    this.say({ type: "claim", term: this.term + 1 });
    this.setTimer("claim", this.times.claim);
  }

  /** Many questions in a row do not put the moment off in which the leader must be heard. */
  private expectLeader(): void {
    if (this.role !== "following" || this.isExpecting) return;
    this.isExpecting = true;
    this.setTimer("silence", ASKED_MS);
  }

  private ask(): void {
    this.isExpecting = true;
    this.say({ type: "who", key: this.key });
    this.setTimer("answer", this.times.answer);
  }

  private replaceLeader(): void {
    this.isExpecting = false;
    if (this.hasLocks) this.commands.push({ type: "steal_lock" });
    else this.seek();
  }

  private countMembers(): void {
    for (const [tab, spoke] of this.members) {
      if (spoke) this.members.set(tab, false);
      else this.forgetTab(tab);
    }
    this.setTimer("members", MEMBERS_MS);
  }

  private forgetTab(tab: string): void {
    if (this.members.delete(tab)) this.commands.push({ type: "forget_tab", tab });
  }

  // --- what others say

  private hear(message: TabMessage): void {
    const { from, to, version } = message;
    if (from === this.id || (to !== undefined && to !== this.id) || this.role === "alone") return;
    switch (message.type) {
      case "who": return this.answerWho(from, version, message.key);
      case "lead": return this.hearLeader(message);
      case "claim": return this.hearClaim(from, message.term);
      case "bye": return from === this.leader ? this.loseLeader() : this.forgetTab(from);
      case "copy": case "copied": case "changed": case "answer":
        if (from !== this.leader || version !== TABS_VERSION) return;
        this.heardLeader();
        this.commands.push({ type: "take", news: message });
        return;
      default: return this.serve(from, message);
    }
  }

  private answerWho(from: string, version: number, key: string): void {
    if (this.role !== "leading") return;
    const isMember = this.members.has(from);
    if (isMember) this.members.set(from, true);
    this.say(this.leading(isMember || version !== TABS_VERSION || key !== this.key), from);
  }

  private hearLeader(message: TabMessage & { type: "lead" }): void {
    const { from, term, to } = message;
    if (this.role === "leading") {
      if (this.isOlder(term, from)) return this.say(this.leading(true));
      return message.version === TABS_VERSION && message.key === this.key ? this.follow(from, term) : this.goAlone();
    }
    if (message.version !== TABS_VERSION || message.key !== this.key) return this.goAlone();
    if (this.role === "seeking") return this.follow(from, term);
    if (from !== this.leader) {
      if (term >= this.term) this.follow(from, term);
    } else if (to === this.id && !message.knows) {
      this.follow(from, term);
    } else {
      this.heardLeader();
    }
  }

  /** Tells whether another leader came before this one. */
  private isOlder(term: number, id: string): boolean {
    return term < this.term || (term === this.term && id < this.id);
  }

  private hearClaim(from: string, term: number): void {
    if (this.role === "leading") return this.say(this.leading(false), from);
    // Of two that claim at once, the one of the lower id goes first.
    if (this.role === "seeking" && !this.hasLocks && from < this.id) {
      this.clearTimer("claim");
      this.setTimer("seek", this.times.seek + this.times.claim);
    }
    this.term = Math.max(this.term, term - 1);
  }

  private serve(tab: string, request: TabRequest): void {
    if (this.role !== "leading") return;
    if (request.type !== "follow" && !this.members.has(tab)) return this.say(this.leading(false), tab);
    this.members.set(tab, true);
    this.commands.push({ type: "serve", tab, request });
  }

  private loseLeader(): void {
    if (this.role !== "following") return;
    // With locks the browser says who is next.
    if (!this.hasLocks) this.seek();
  }

  private heardLeader(): void {
    this.isExpecting = false;
    this.clearTimer("answer");
    this.setTimer("silence", this.times.silence);
  }

  // --- saying

  private leading(knows: boolean): TabSaying {
    return { type: "lead", key: this.key, term: this.term, knows };
  }

  private say(saying: TabSaying, to?: string): void {
    this.commands.push({ type: "say", message: this.addressed(saying, to) });
  }

  /** Returns a message to one tab, or to all. */
  addressed(saying: TabSaying, to?: string): TabMessage {
    return { ...saying, version: TABS_VERSION, from: this.id, ...(to === undefined ? {} : { to }) };
  }

  private setTimer(timer: TabTimer, ms: number): void {
    this.commands.push({ type: "set_timer", timer, ms });
  }

  private clearTimer(timer: TabTimer): void {
    this.commands.push({ type: "clear_timer", timer });
  }
}
