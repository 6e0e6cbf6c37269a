// The view: the replica's rows with the pending mutations replayed over them. Pure.
// A row that did not change is the same object each time, so that readers can compare by identity.

import { replay, type Effect, type Pending } from "./pending.ts";
import type { WireRow } from "./protocol.gen.ts";

/** Rows without what is pending: a replica, or a mirror of another tab's. */
export interface BaseRows {
  row(entity: string, id: string): WireRow | undefined;
  rows(entity: string): Iterable<WireRow>;
}

interface Replayed {
  readonly base: WireRow | undefined;
  readonly effects: readonly Effect[];
  readonly row: WireRow | undefined;
}

export class View {
  private readonly replayed = new WeakMap<readonly Effect[], Replayed>();

  constructor(
    private readonly base: BaseRows,
    private readonly pending: Pending,
  ) {}

  row(entity: string, id: string): WireRow | undefined {
    const base = this.base.row(entity, id);
    const effects = this.pending.effectsOn(entity, id);
    if (effects === undefined) return base;
    const known = this.replayed.get(effects);
    if (known !== undefined && known.base === base) return known.row;
    const row = replay(base, effects);
    this.replayed.set(effects, { base, effects, row });
    return row;
  }

  *rows(entity: string): Iterable<WireRow> {
    for (const base of this.base.rows(entity)) {
      const row = this.row(entity, base.id);
      if (row !== undefined) yield row;
    }
    for (const row of this.pendingRows(entity)) {
      if (this.base.row(entity, row.id) === undefined) yield row;
    }
  }

  /** Visits the rows that pending mutations make or change. */
  *pendingRows(entity: string): Iterable<WireRow> {
    for (const id of this.pending.idsTouched(entity)) {
      const row = this.row(entity, id);
      if (row !== undefined) yield row;
    }
  }
}
