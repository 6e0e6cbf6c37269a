// Who wants which subscription: equal definitions share one, and an unused one lingers a while, so
// that leaving a page and coming back costs nothing.

import type { Subscription, Wanted } from "./subscription.ts";
import { keyOf } from "./subscription.ts";

/** How long an unused subscription stays. */
const LINGER_MS = 5_000;
/** How long those of an earlier visit wait for somebody who wants them again. */
const DORMANT_MS = 30_000;

/** What the pool needs of the engine. */
export interface SubscriptionHost {
  add(id: string, wanted: Wanted): void;
  remove(id: string): void;
  /** Tells whether it was refused. */
  hasFailed(id: string): boolean;
  later(ms: number, call: () => void): () => void;
}

interface Holding {
  readonly id: string;
  readonly key: string;
  count: number;
  cancel: (() => void) | null;
}

export class SubscriptionPool {
  private readonly byKey = new Map<string, Holding>();
  private readonly byId = new Map<string, Holding>();
  private last = 0;

  constructor(private readonly host: SubscriptionHost) {}

  /** Takes over what an earlier visit had subscribed. */
  load(stored: readonly Subscription[]): void {
    for (const one of stored) {
      const holding: Holding = { id: one.id, key: keyOf(one.definition), count: 0, cancel: null };
      this.last = Math.max(this.last, Number(one.id.slice(1)) || 0);
      this.hold(holding);
      this.linger(holding, DORMANT_MS);
    }
  }

  acquire(wanted: Wanted): string {
    const key = keyOf(wanted);
    let holding = this.byKey.get(key);
    if (holding !== undefined && holding.count === 0 && this.host.hasFailed(holding.id)) {
      this.forget(holding);
      holding = undefined;
    }
    if (holding === undefined) {
      this.last += 1;
      holding = { id: `s${this.last}`, key, count: 0, cancel: null };
      this.hold(holding);
      this.host.add(holding.id, wanted);
    }
    holding.count += 1;
    holding.cancel?.();
    holding.cancel = null;
    return holding.id;
  }

  /** Returns the subscription of a definition's key. */
  find(key: string): string | undefined {
    return this.byKey.get(key)?.id;
  }

  release(id: string): void {
    const holding = this.byId.get(id);
    if (holding === undefined) return;
    holding.count -= 1;
    if (holding.count === 0) this.linger(holding, LINGER_MS);
  }

  private linger(holding: Holding, ms: number): void {
    holding.cancel = this.host.later(ms, () => this.forget(holding));
  }

  private hold(holding: Holding): void {
    this.byKey.set(holding.key, holding);
    this.byId.set(holding.id, holding);
  }

  private forget(holding: Holding): void {
    holding.cancel?.();
    this.byKey.delete(holding.key);
    this.byId.delete(holding.id);
    this.host.remove(holding.id);
  }
}
