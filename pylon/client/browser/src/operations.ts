// What `db.pending` lists: mutations that are not confirmed yet, and refused ones that nobody was
// told of, because the page that made them is gone. Pure.

import type { Pending, PendingMutation } from "./pending.ts";
import type { Json, JsonObject, WireError } from "./protocol.gen.ts";
import type { StoredMutation } from "./store.ts";

/** So many refused mutations are kept; the oldest go first. */
const REJECTED_MAX = 100;

/** One mutation that waits, or that was refused. */
export interface PendingOperation {
  readonly op_id: string;
  readonly fn: string;
  readonly args: JsonObject;
  /** When it was made. */
  readonly at: string;
  /** `waiting` for the server, `confirmed` and soon gone, or `rejected` with an `error`. */
  readonly state: "waiting" | "confirmed" | "rejected";
  /** True once it is in the browser's storage: it then survives the browser itself. */
  readonly stored: boolean;
  readonly error: WireError | null;
  /** Sends it again: a waiting one at once, a refused one as a new operation. */
  retry(): void;
  /** Gives it up. What the server has already taken stays. */
  discard(): void;
}

/** The ways to act on one. */
export interface OperationActs {
  retry(id: string): void;
  discard(id: string): void;
}

export class Operations {
  private readonly storedIds = new Set<string>();
  private refused = new Map<string, StoredMutation>();

  /** Takes in what a store held or another tab tells: the refused ones. */
  load(rejected: readonly StoredMutation[]): void {
    this.refused = new Map(rejected.map((one) => [one.op_id, one]));
  }

  get stored(): ReadonlySet<string> {
    return this.storedIds;
  }

  get rejected(): readonly StoredMutation[] {
    return [...this.refused.values()];
  }

  find(id: string): StoredMutation | undefined {
    return this.refused.get(id);
  }

  /** Notes a refusal that nobody was told of; returns the oldest ones, for which there is no room. */
  refuse(mutation: PendingMutation, error: WireError): readonly string[] {
    this.refused.set(mutation.op_id, { ...mutation, error });
    const surplus = [...this.refused.keys()].slice(0, Math.max(0, this.refused.size - REJECTED_MAX));
    for (const id of surplus) this.refused.delete(id);
    return surplus;
  }

  forget(id: string): boolean {
    this.storedIds.delete(id);
    return this.refused.delete(id);
  }

  /** Another caller's are his: they stay in the store. */
  clear(): void {
    this.storedIds.clear();
    this.refused.clear();
  }

  markStored(ids: Iterable<string>): void {
    for (const id of ids) this.storedIds.add(id);
  }

  /** The store is gone: what was in it lasts no longer than the page. */
  unmarkStored(): void {
    this.storedIds.clear();
  }

  list(pending: Pending, acts: OperationActs): readonly PendingOperation[] {
    const listed = (one: StoredMutation, state: PendingOperation["state"], isStored: boolean): PendingOperation => ({
      op_id: one.op_id, fn: one.fn, args: one.args, at: one.at, state, stored: isStored, error: one.error ?? null,
      retry: () => acts.retry(one.op_id),
      discard: () => acts.discard(one.op_id),
    });
    return [
      ...[...this.refused.values()].map((one) => listed(one, "rejected", true)),
      ...pending.all().map((one) => (
        listed(one, one.seq === undefined ? "waiting" : "confirmed", this.storedIds.has(one.op_id))
      )),
    ];
  }
}

/** Returns a refused mutation as a new one: the server remembers its old id as refused. */
export function renewed(mutation: StoredMutation, id: string): PendingMutation {
  const { error: _, seq: __, value: ___, ...rest } = mutation as StoredMutation & { readonly value?: Json };
  return { ...rest, op_id: id };
}
