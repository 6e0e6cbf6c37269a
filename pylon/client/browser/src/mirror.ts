// The mirror: what a following tab shows, as its leader last told. Pure.
//
// Rows are the leader's as shown, below the pending mutations; those replay over them here as there.
// A mutation made here is over the rows at once, and behind the leader's own once he has it.
// What does not live here: who leads (`leadership`), and rules of sync, which the leader alone has.

import { isSame } from "./compare.ts";
import type { Caller } from "./events.ts";
import type { QueryProgress } from "./live.ts";
import { Operations } from "./operations.ts";
import { Pending, type PendingMutation } from "./pending.ts";
import type { Manifest, WireRow } from "./protocol.gen.ts";
import type { TabChange, TabState, TabStatus } from "./tab-messages.ts";
import { View, type BaseRows } from "./view.ts";

export class Mirror implements BaseRows {
  readonly pending = new Pending();
  readonly operations = new Operations();
  readonly view = new View(this, this.pending);
  /** True once the whole copy is here; before, nothing is shown. */
  isComplete = false;
  cursor: string | null = null;
  status: TabStatus | null = null;
  caller: Caller | null = null;
  manifest: Manifest | null = null;
  private generation = -1;
  /** Nothing older than this is shown: the caller left here before the leader knew. */
  private generationMin = 0;
  private readonly base = new Map<string, Map<string, WireRow>>();
  readonly queries = new Map<string, QueryProgress>();
  /** Made here, and not yet among what the leader has. */
  private readonly own = new Map<string, PendingMutation>();
  private touched = new Map<string, Set<string>>();

  row(entity: string, id: string): WireRow | undefined {
    return this.isComplete ? this.base.get(entity)?.get(id) : undefined;
  }

  *rows(entity: string): Iterable<WireRow> {
    if (this.isComplete) yield* this.base.get(entity)?.values() ?? [];
  }

  stateOf(key: string): QueryProgress | undefined {
    return this.isComplete ? this.queries.get(key) : undefined;
  }

  /** `same` returns the object that is shown for a row until this mirror is complete. */
  constructor(private readonly same: (entity: string, row: WireRow) => WireRow = (_, row) => row) {}

  /** Takes a part of the copy; what changed since it was made is known better already. */
  copy(generation: number, rows: readonly (readonly [entity: string, row: WireRow])[]): void {
    if (this.generation === -1) this.generation = generation;
    if (this.generation !== generation) return;
    for (const [entity, row] of rows) {
      if (this.touched.get(entity)?.has(row.id) !== true) this.put(entity, row.id, this.same(entity, row));
    }
  }

  /** Returns the object that stands for a row here, if it is that row. */
  known(entity: string, row: WireRow): WireRow {
    const known = this.base.get(entity)?.get(row.id);
    return known !== undefined && isSame(known, row) ? known : row;
  }

  /** Takes the rest: from here on it is shown. */
  complete(state: TabState): void {
    this.generation = state.generation;
    this.cursor = state.cursor;
    for (const [key, one] of state.queries) this.queries.set(key, one);
    this.adopt(state.pending);
    this.operations.markStored(state.stored);
    this.operations.load(state.rejected);
    this.status = state.status;
    this.caller = state.caller;
    this.manifest = state.manifest;
    this.isComplete = this.generation >= this.generationMin;
  }

  /** Takes in one step of the leader. */
  apply(change: TabChange): void {
    if (this.generation !== -1 && change.generation !== this.generation) this.clear();
    this.generation = change.generation;
    this.cursor = change.cursor;
    for (const [entity, id, row] of change.rows) this.put(entity, id, row);
    for (const [key, state] of change.queries) {
      if (state === null) this.queries.delete(key);
      else this.queries.set(key, state);
    }
    for (const id of change.gone) {
      this.own.delete(id);
      this.pending.reject(id);
      this.operations.forget(id);
    }
    this.adopt(change.added);
    this.operations.markStored(change.stored);
    if (change.rejected !== undefined) this.operations.load(change.rejected);
    this.status = change.status ?? this.status;
    if (change.status?.persistent === false) this.operations.unmarkStored();
    this.caller = change.caller ?? this.caller;
    this.manifest = change.manifest ?? this.manifest;
    if (this.generation >= this.generationMin && !this.isComplete && this.status !== null) this.isComplete = true;
  }

  /** Shows a mutation made here at once. */
  mutate(mutation: PendingMutation): void {
    this.own.set(mutation.op_id, mutation);
    this.pending.add(mutation);
  }

  /** A mutation was refused: its effect goes at once. */
  reject(id: string): void {
    this.own.delete(id);
    this.pending.reject(id);
  }

  /** The caller leaves: nothing that the leader showed until now is shown here any more (I33). */
  leave(): void {
    this.generationMin = this.generation + 1;
    this.isComplete = false;
    this.clear();
  }

  takeTouched(): ReadonlyMap<string, readonly string[]> {
    const touched = this.touched;
    this.touched = new Map();
    for (const [entity, ids] of this.pending.takeTouched()) {
      const known = touched.get(entity) ?? new Set<string>();
      for (const id of ids) known.add(id);
      touched.set(entity, known);
    }
    return new Map([...touched].map(([entity, ids]) => [entity, [...ids]]));
  }

  private clear(): void {
    for (const [entity, rows] of this.base) for (const id of rows.keys()) this.touch(entity, id);
    this.base.clear();
    this.queries.clear();
    this.own.clear();
    this.pending.clear();
    this.operations.clear();
  }

  /** Takes mutations of the leader, in his order; those that only this tab knows stay behind them. */
  private adopt(told: readonly PendingMutation[]): void {
    const fresh = told.filter(({ op_id }) => this.own.has(op_id) || !this.pending.has(op_id));
    const ownIds = [...this.own.keys()];
    const isInOrder = fresh.every(({ op_id }, at) => ownIds[at] === op_id);
    for (const { op_id } of fresh) this.own.delete(op_id);
    if (isInOrder) {
      for (const one of told) this.pending.replace(one);
      return;
    }
    const behind = [...this.own.values()];
    for (const { op_id } of [...fresh, ...behind]) this.pending.reject(op_id);
    for (const one of told) {
      if (!this.pending.add(one)) this.pending.replace(one);
    }
    for (const one of behind) this.pending.add(one);
  }

  private put(entity: string, id: string, row: WireRow | null): void {
    const rows = this.base.get(entity) ?? new Map<string, WireRow>();
    this.base.set(entity, rows);
    const known = rows.get(id);
    this.touch(entity, id);
    // What did not change stays the same object, for readers that compare by identity.
    if (row === null) rows.delete(id);
    else if (known === undefined || !isSame(known, row)) rows.set(id, row);
  }

  private touch(entity: string, id: string): void {
    const ids = this.touched.get(entity) ?? new Set<string>();
    this.touched.set(entity, ids.add(id));
  }
}
