// What the queries and followed functions of one page ask for: equal ones are asked for once. Pure but for the asking.

import { keyOf, type Wanted } from "./subscription.ts";

/** How to ask where this tab leads, and what to say where it does not. */
export interface WantsHost {
  /** Asks for rows; returns how to give them back, null where the leader is asked instead. */
  ask(wanted: Wanted): (() => void) | null;
  giveBack(key: string): void;
}

interface Want {
  readonly wanted: Wanted;
  count: number;
  release: (() => void) | null;
}

export class Wants {
  private readonly wants = new Map<string, Want>();

  constructor(private readonly host: WantsHost) {}

  get all(): readonly Wanted[] {
    return [...this.wants.values()].map((want) => want.wanted);
  }

  acquire(wanted: Wanted): string {
    const key = keyOf(wanted);
    const known = this.wants.get(key);
    if (known === undefined) this.wants.set(key, { wanted, count: 1, release: this.host.ask(wanted) });
    else known.count += 1;
    return key;
  }

  release(key: string): void {
    const want = this.wants.get(key);
    if (want === undefined || --want.count > 0) return;
    this.wants.delete(key);
    if (want.release === null) this.host.giveBack(key);
    else want.release();
  }

  /** Asks for all of it anew: somebody else answers now. */
  renew(): void {
    for (const want of this.wants.values()) want.release = this.host.ask(want.wanted);
  }

  /** Nobody is left to give anything back to. */
  orphan(): void {
    for (const want of this.wants.values()) want.release = null;
  }
}
