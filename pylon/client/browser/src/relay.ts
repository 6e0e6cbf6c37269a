// What a leading tab tells its followers: a copy at first, then what each step changed. Pure.
//
// Differences are against what was told last, be it by a copy; telling something twice does no harm.

import { isSame } from "./compare.ts";
import type { Engine, EngineStep } from "./engine.ts";
import type { QueryProgress } from "./live.ts";
import type { PendingMutation } from "./pending.ts";
import type { Json, WireRow } from "./protocol.gen.ts";
import type { TabChange, TabNews, TabState } from "./tab-messages.ts";

const COPY_ROWS_MAX = 2_000;

export class Relay {
  private queries = new Map<string, QueryProgress>();
  private pending = new Map<string, PendingMutation>();

  constructor(private readonly engine: Engine) {}

  /** Returns all rows that are shown now, in parts. */
  copies(): readonly (TabNews & { type: "copy" })[] {
    const { replica } = this.engine.machine;
    const rows: (readonly [string, WireRow])[] = [];
    for (const entity of replica.entities()) for (const row of replica.rows(entity)) rows.push([entity, row]);
    const { generation } = this.engine;
    return Array.from({ length: Math.ceil(rows.length / COPY_ROWS_MAX) }, (_, part) => (
      { type: "copy", generation, rows: rows.slice(part * COPY_ROWS_MAX, (part + 1) * COPY_ROWS_MAX) }
    ));
  }

  state(): TabState {
    const { engine } = this;
    this.look();
    return {
      cursor: engine.machine.replica.shownCursor,
      generation: engine.generation,
      queries: [...this.queries],
      pending: [...this.pending.values()],
      stored: [...engine.operations.stored],
      rejected: engine.operations.rejected,
      status: engine.status,
      caller: engine.caller,
      manifest: engine.manifest,
    };
  }

  change(step: EngineStep): TabChange {
    const { engine, queries, pending } = this;
    const { replica } = engine.machine;
    this.look();
    return {
      cursor: replica.shownCursor,
      generation: engine.generation,
      rows: [...step.changes].flatMap(([entity, ids]) => ids.map((id) => [entity, id, replica.row(entity, id) ?? null] as const)),
      queries: this.changedQueries(queries),
      added: [...this.pending.values()].filter((one) => pending.get(one.op_id) !== one),
      gone: [...pending.keys()].filter((id) => !this.pending.has(id)),
      stored: step.stored,
      settled: step.settled,
      ...(step.isRejectedChanged ? { rejected: engine.operations.rejected } : {}),
      ...(step.status === undefined ? {} : { status: step.status }),
      ...(step.caller === undefined ? {} : { caller: step.caller }),
      ...(step.manifest === undefined ? {} : { manifest: step.manifest }),
    };
  }

  /** Notes what there is, as told. */
  private look(): void {
    this.queries = new Map(this.engine.states());
    this.pending = new Map(this.engine.machine.pending.all().map((one) => [one.op_id, one]));
  }

  private changedQueries(
    before: ReadonlyMap<string, QueryProgress>,
  ): readonly (readonly [key: string, state: QueryProgress | null])[] {
    const changed: (readonly [string, QueryProgress | null])[] = [];
    for (const [key, state] of this.queries) {
      const known = before.get(key);
      if (known === undefined || !isSame(known as unknown as Json, state as unknown as Json)) changed.push([key, state]);
    }
    for (const key of before.keys()) if (!this.queries.has(key)) changed.push([key, null]);
    return changed;
  }
}
