// The values of query functions that are followed, as the server last told them. Pure.
// Kept in memory only: after a reconnect each comes anew. What does not live here: rows (`replica`).

import { isSame } from "./compare.ts";
import type { Json, LiveValue, SubscriptionSpec, WireError } from "./protocol.gen.ts";
import type { FunctionCall } from "./subscription.ts";

/** A followed call and what it came to: a value, an error, or nothing yet. */
export interface FollowedFunction {
  readonly id: string;
  readonly call: FunctionCall;
  /** Absent before the first value, and where an error stands in its place. */
  readonly value?: Json;
  readonly error: WireError | null;
}

export class Values {
  private readonly followed = new Map<string, FollowedFunction>();
  private isChanged = false;

  get(id: string): FollowedFunction | undefined {
    return this.followed.get(id);
  }

  has(id: string): boolean {
    return this.followed.has(id);
  }

  all(): readonly FollowedFunction[] {
    return [...this.followed.values()];
  }

  /** Takes one more; returns how it is said to the server. */
  follow(id: string, call: FunctionCall): SubscriptionSpec {
    const made: FollowedFunction = { id, call, error: null };
    this.put(made);
    return specOfCall(made);
  }

  leave(id: string): void {
    this.followed.delete(id);
    this.isChanged = true;
  }

  specs(): readonly SubscriptionSpec[] {
    return this.all().map(specOfCall);
  }

  /** Takes a value; one that is equal to what is held stays the same object, and is no change. */
  take(message: Pick<LiveValue, "subscription" | "value">): void {
    const known = this.followed.get(message.subscription);
    if (known === undefined) return;
    const isKnown = known.value !== undefined && isSame(known.value, message.value);
    const value = isKnown && known.value !== undefined ? known.value : message.value;
    this.followed.set(known.id, { ...known, value, error: null });
    this.isChanged ||= !isKnown;
  }

  /** Takes an error in the place of a value: what was shown may be hidden now. */
  fail(id: string, error: WireError): void {
    const known = this.followed.get(id);
    if (known !== undefined) this.put({ id, call: known.call, error });
  }

  /** Forgets what was told: it was told to somebody else. */
  reset(): void {
    for (const { id, call, value, error } of this.all()) {
      if (value !== undefined || error !== null) this.put({ id, call, error: null });
    }
  }

  takeChange(): boolean {
    const { isChanged } = this;
    this.isChanged = false;
    return isChanged;
  }

  private put(one: FollowedFunction): void {
    this.followed.set(one.id, one);
    this.isChanged = true;
  }
}

function specOfCall({ id, call: { fn, args } }: FollowedFunction): SubscriptionSpec {
  return { id, fn, ...(Object.keys(args).length === 0 ? {} : { args }) };
}
