// Live queries: results over the view that are kept current, row by row. Pure but for listeners.
//
// A result is replaced only when it changed, and an unchanged row stays the same object.

import { PylonError } from "./errors.ts";
import { compileFilter, compileOrder, orderMistake, type Predicate, type RowOrder } from "./filter.ts";
import type { Json, WireError, WireRow } from "./protocol.gen.ts";
import { Observed } from "./observed.ts";
import type { Schema } from "./schema.ts";
import type { Definition } from "./subscription.ts";
import type { View } from "./view.ts";

/** What a query has to show: the rows, whether they are complete, and why there are none. */
export interface QuerySnapshot<R> {
  readonly rows: readonly R[];
  readonly ready: boolean;
  readonly error: PylonError | null;
}

/** Above so many changes at once, sorting anew is cheaper than moving row by row. */
const MOVES_MAX = 100;

/** A sorted result over rows of one entity. */
export class Result {
  rows: readonly WireRow[] = [];
  private members = new Map<string, WireRow>();
  private readonly wants: Predicate;
  private readonly order: RowOrder;

  constructor(
    private readonly view: View,
    private readonly definition: Definition,
    schema: Schema,
    /** What was shown before: an equal result is the same one. */
    shown: readonly WireRow[] = [],
  ) {
    this.rows = shown;
    this.members = new Map(shown.map((row) => [row.id, row]));
    this.wants = compileFilter(definition.where, definition.entity, schema);
    this.order = compileOrder(definition.order ?? [], definition.entity, schema);
  }

  /** Takes in the rows that changed (undefined: any may have); true where the result is another. */
  update(ids: readonly string[] | undefined, listed: readonly string[] | null): boolean {
    if (ids?.length === 0) return false;
    if (this.definition.limit !== undefined) {
      return this.mayCut(ids, listed ?? []) && this.cut(listed ?? [], this.definition.limit);
    }
    if (ids === undefined || ids.length > MOVES_MAX) return this.sortAll();
    let rows: WireRow[] | undefined;
    for (const id of ids) {
      const before = this.members.get(id);
      const found = this.view.row(this.definition.entity, id);
      const after = found !== undefined && this.wants(found) ? found : undefined;
      if (before === after) continue;
      rows ??= [...this.rows];
      if (before !== undefined) rows.splice(this.place(rows, before), 1);
      if (after === undefined) {
        this.members.delete(id);
      } else {
        this.members.set(id, after);
        rows.splice(this.place(rows, after), 0, after);
      }
    }
    if (rows === undefined) return false;
    this.rows = rows;
    return true;
  }

  private sortAll(): boolean {
    const rows: WireRow[] = [];
    for (const row of this.view.rows(this.definition.entity)) if (this.wants(row)) rows.push(row);
    return this.replace(rows.sort(this.order));
  }

  /** Tells whether any of these rows is in the window, listed for it, or a pending one that may enter. */
  private mayCut(ids: readonly string[] | undefined, listed: readonly string[]): boolean {
    if (ids === undefined || ids.length > MOVES_MAX) return true;
    return ids.some((id) => {
      if (this.members.has(id) || listed.includes(id)) return true;
      const row = this.view.row(this.definition.entity, id);
      return row !== undefined && this.wants(row);
    });
  }

  /** A window shows what it lists and what else is here, so that own changes are seen at once. */
  private cut(listed: readonly string[], limit: number): boolean {
    const { entity } = this.definition;
    const rows = new Map<string, WireRow>();
    for (const id of listed) {
      const row = this.view.row(entity, id);
      if (row !== undefined && this.wants(row)) rows.set(id, row);
    }
    for (const row of this.view.pendingRows(entity)) if (this.wants(row)) rows.set(row.id, row);
    return this.replace([...rows.values()].sort(this.order).slice(0, limit));
  }

  private replace(rows: readonly WireRow[]): boolean {
    const isSame = rows.length === this.rows.length && rows.every((row, at) => row === this.rows[at]);
    if (isSame) return false;
    this.rows = rows;
    this.members = new Map(rows.map((row) => [row.id, row]));
    return true;
  }

  /** Returns where a row stands, or would stand. The order is total: ids differ. */
  private place(rows: readonly WireRow[], row: WireRow): number {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = rows[middle];
      if (other !== undefined && this.order(other, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** How far what a query asks for is there; `ids` lists a window, null for what has no limit. */
export interface QueryProgress {
  readonly ids: readonly string[] | null;
  readonly ready: boolean;
  readonly error: WireError | null;
  /** Of a followed function: what it came to. */
  readonly value?: Json;
}

/** What a live query needs of the database behind it. */
export interface QueryHost {
  readonly view: View;
  readonly schema: Schema;
  /** Asks for rows; returns the key under which their state is found and released. */
  acquire(definition: Definition): string;
  release(key: string): void;
  stateOf(key: string): QueryProgress | undefined;
  attach(query: LiveQuery<never>): void;
  detach(query: LiveQuery<never>): void;
  /** Puts neighbours into rows; the same array where nothing is another. */
  dress?(rows: readonly WireRow[]): readonly WireRow[];
}

/** A query that stays current until it is closed. */
export class LiveQuery<R = WireRow> extends Observed<QuerySnapshot<R>, readonly R[]> {
  private result: Result | null = null;
  private key: string | null = null;
  /** Without a limit the order is not told to the server, so that a slip in it is found here. */
  private mistake: WireError | null = null;

  /** @internal */
  constructor(
    private host: QueryHost | null,
    readonly definition: Definition,
  ) {
    super({ rows: [], ready: false, error: null });
  }

  /** @internal Begins, where what it needs was not there yet. */
  through(host: QueryHost): void {
    this.host = host;
    if (this.isWanted) this.open();
  }

  /** @internal Says that it will never begin. */
  fail(error: WireError): void {
    this.publish({ rows: [], ready: false, error: new PylonError(error) });
  }

  get rows(): readonly R[] {
    return this.snapshot.rows;
  }

  /** True when the rows are complete; before, they are what happens to be here. */
  get ready(): boolean {
    return this.snapshot.ready;
  }

  get error(): PylonError | null {
    return this.snapshot.error;
  }

  /** @internal */
  protected get shown(): readonly R[] {
    return this.rows;
  }

  /** @internal */
  protected get isShown(): boolean {
    const { rows, ready, error } = this.snapshot;
    return ready || rows.length > 0 || error !== null;
  }

  /** @internal Takes in what changed: ids of its entity, or undefined for anything. */
  refresh(ids: readonly string[] | undefined): void {
    const { key, result, host } = this;
    if (key === null || result === null || host === null) return;
    result.update(ids, host.stateOf(key)?.ids ?? null);
    const rows = host.dress?.(result.rows) ?? result.rows;
    const isOther = rows !== this.snapshot.rows as unknown;
    // Asked again: what the rows need beside them may be another thing now.
    const state = host.stateOf(key);
    const ready = state?.ready ?? false;
    const { snapshot } = this;
    const error = shownError(state?.error ?? this.mistake, snapshot.error, `query("${this.definition.entity}")`);
    if (!isOther && ready === snapshot.ready && error === snapshot.error) return;
    this.publish({ rows: rows as unknown as readonly R[], ready, error });
  }

  /** @internal The fields' kinds or the view are others now: read everything anew. */
  recompile(): void {
    if (this.key === null || this.host === null) return;
    this.mistake = orderMistake(this.definition.order ?? [], this.definition.entity, this.host.schema);
    const shown = this.result?.rows ?? this.snapshot.rows as unknown as readonly WireRow[];
    this.result = new Result(this.host.view, this.definition, this.host.schema, shown);
    this.refresh(undefined);
  }

  /** @internal */
  protected open(): void {
    if (this.key !== null || this.host === null) return;
    this.key = this.host.acquire(this.definition);
    this.host.attach(this as unknown as LiveQuery<never>);
    this.recompile();
  }

  /** @internal */
  protected shut(): void {
    if (this.key === null || this.host === null) return;
    this.host.detach(this as unknown as LiveQuery<never>);
    this.host.release(this.key);
    this.key = null;
  }
}

/** Returns the error to show, the same object where it is the same; a new one is said in the console,
 * because who does not look at it sees an empty page. */
export function shownError(wire: WireError | null, before: PylonError | null, what: string): PylonError | null {
  if (wire === null) return null;
  if (before?.code === wire.code && before.message === wire.message) return before;
  const error = new PylonError(wire);
  console.error(`db.${what}:`, error.message, error.hint ?? "");
  return error;
}
