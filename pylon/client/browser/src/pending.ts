// Pending mutations: made here, not yet confirmed, in the order made. Pure.
//
// The view is the base with these replayed over it. One leaves in the very step in which the
// cursor reaches its `seq`, so that its effect is never missing and never doubled (I28).

import type { Json, JsonObject, OperationResult, WireError, WireRow } from "./protocol.gen.ts";
import { wireError } from "./errors.ts";

/** What a mutation does to one row, as far as the client can tell. */
export type Effect =
  | { readonly kind: "insert"; readonly entity: string; readonly id: string; readonly values: JsonObject }
  | { readonly kind: "update"; readonly entity: string; readonly id: string; readonly values: JsonObject }
  | { readonly kind: "delete"; readonly entity: string; readonly id: string };

export interface PendingMutation {
  readonly op_id: string;
  readonly fn: string;
  readonly args: JsonObject;
  readonly effects: readonly Effect[];
  /** Whose it is: it is never sent as another's. Undefined until the first welcome; null: nobody. */
  readonly principal?: string | null;
  /** When it was made; informs only. */
  readonly at: string;
  /** Characters of its text, which bound a push. */
  readonly size: number;
  /** The head right after it, once applied. */
  readonly seq?: number;
  /** What the server answered, once applied. */
  readonly value?: Json;
}

/** How a mutation ended, for who made it. */
export interface Settlement {
  readonly op_id: string;
  readonly value?: Json;
  readonly error?: WireError;
}

export class Pending {
  private readonly mutations = new Map<string, PendingMutation>();
  private readonly effects = new Map<string, Map<string, readonly Effect[]>>();
  /** Removed since the store was asked for what waits: its answer may still hold them. */
  private removed: Set<string> | null = null;
  private touched = new Map<string, Set<string>>();

  get count(): number {
    return this.mutations.size;
  }

  all(): readonly PendingMutation[] {
    return [...this.mutations.values()];
  }

  has(id: string): boolean {
    return this.mutations.has(id);
  }

  /** Returns those that are still to be sent, in order: at most `count`, of at most `size` together. */
  unsent(count: number, size: number): readonly PendingMutation[] {
    const found: PendingMutation[] = [];
    let total = 0;
    for (const one of this.mutations.values()) {
      if (one.seq !== undefined) continue;
      total += one.size;
      if (found.length === count || (found.length > 0 && total > size)) break;
      found.push(one);
    }
    return found;
  }

  add(mutation: PendingMutation): boolean {
    if (this.mutations.has(mutation.op_id)) return false;
    this.mutations.set(mutation.op_id, mutation);
    for (const effect of mutation.effects) this.rebuild(effect.entity, effect.id);
    return true;
  }

  /** Notes that the store is asked for what waits. */
  expectStored(): void {
    this.removed = new Set();
  }

  /** Queues what the store held, but for what was decided while it was reading. */
  takeStored(mutations: Iterable<PendingMutation>): void {
    const { removed } = this;
    this.removed = null;
    for (const one of mutations) if (!removed?.has(one.op_id)) this.add(one);
  }

  /** Takes another state of one that is here, with the same effects, at the same place. */
  replace(mutation: PendingMutation): void {
    if (this.mutations.has(mutation.op_id)) this.mutations.set(mutation.op_id, mutation);
  }

  /** Says whose the unbound ones are; returns them. */
  bind(principal: string | null): readonly PendingMutation[] {
    const bound: PendingMutation[] = [];
    for (const one of this.mutations.values()) {
      if (one.principal !== undefined) continue;
      const mutation = { ...one, principal };
      this.mutations.set(one.op_id, mutation);
      bound.push(mutation);
    }
    return bound;
  }

  /** Takes an answer; null where it decides nothing: to be sent again, or nothing that waits. */
  decide(result: OperationResult, head: number): Settlement | null {
    const found = this.mutations.get(result.op_id);
    if (found === undefined || found.seq !== undefined) return null;
    const { op_id, status, error } = result;
    if (status === "retry") return null;
    if (status === "rejected" || error !== undefined) {
      this.remove(op_id);
      const answer = error ?? wireError("INTERNAL", "rejected without a reason");
      return { op_id, error: answer };
    }
    const value = result.value ?? null;
    this.mutations.set(op_id, { ...found, seq: result.seq ?? head, value });
    return { op_id, value };
  }

  reject(id: string): boolean {
    return this.remove(id);
  }

  /** Drops one that is not decided yet; false where there is none. */
  discard(id: string): boolean {
    return this.mutations.get(id)?.seq === undefined && this.remove(id);
  }

  /** Drops those whose effect is in the base now; returns them. */
  settle(seq: number): readonly PendingMutation[] {
    const settled = [...this.mutations.values()].filter((one) => one.seq !== undefined && one.seq <= seq);
    for (const { op_id } of settled) this.remove(op_id);
    return settled;
  }

  /** Drops those that another lineage of the log had confirmed; returns them. */
  settleAll(): readonly PendingMutation[] {
    return this.settle(Number.MAX_SAFE_INTEGER);
  }

  clear(): void {
    for (const id of [...this.mutations.keys()]) this.remove(id);
  }

  // --- the overlay

  /** Returns the effects on one row, in order; the same array as long as they are the same. */
  effectsOn(entity: string, id: string): readonly Effect[] | undefined {
    return this.effects.get(entity)?.get(id);
  }

  idsTouched(entity: string): Iterable<string> {
    return this.effects.get(entity)?.keys() ?? [];
  }

  takeTouched(): ReadonlyMap<string, ReadonlySet<string>> {
    const touched = this.touched;
    this.touched = new Map();
    return touched;
  }

  private remove(opId: string): boolean {
    this.removed?.add(opId);
    const found = this.mutations.get(opId);
    if (found === undefined) return false;
    this.mutations.delete(opId);
    for (const effect of found.effects) this.rebuild(effect.entity, effect.id);
    return true;
  }

  private rebuild(entity: string, id: string): void {
    const effects: Effect[] = [];
    for (const mutation of this.mutations.values()) {
      for (const effect of mutation.effects) {
        if (effect.entity === entity && effect.id === id) effects.push(effect);
      }
    }
    const rows = this.effects.get(entity) ?? new Map<string, readonly Effect[]>();
    this.effects.set(entity, rows);
    if (effects.length > 0) rows.set(id, effects);
    else rows.delete(id);
    const ids = this.touched.get(entity) ?? new Set<string>();
    this.touched.set(entity, ids.add(id));
  }
}

/** Returns what the built-in mutations do; nothing for a function of the app. */
export function effectsOf(fn: string, args: JsonObject): readonly Effect[] {
  const { entity, id } = args;
  if (typeof entity !== "string" || typeof id !== "string") return [];
  const values = (args["values"] ?? {}) as JsonObject;
  switch (fn) {
    case "pylon.insert": return [{ kind: "insert", entity, id, values }];
    case "pylon.update": return [{ kind: "update", entity, id, values }];
    case "pylon.delete": return [{ kind: "delete", entity, id }];
    default: return [];
  }
}

/** Replays effects over a row. An insert never covers a row that is there: the server's is newer. */
export function replay(base: WireRow | undefined, effects: readonly Effect[]): WireRow | undefined {
  let row = base;
  for (const effect of effects) {
    switch (effect.kind) {
      case "insert":
        row ??= { ...effect.values, id: effect.id, _seq: 0 };
        break;
      case "update":
        if (row !== undefined) row = { ...row, ...effect.values, id: row.id, _seq: row._seq };
        break;
      case "delete":
        row = undefined;
        break;
      default:
        effect satisfies never;
    }
  }
  return row;
}
