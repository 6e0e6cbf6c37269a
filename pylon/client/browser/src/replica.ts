// The replica: rows as the server confirmed them, the cursor, and what is subscribed. Pure.
//
// What does not live here: pending mutations (`pending`), what is shown (`view`), and when to
// pull, resync or reconnect (`machine`). ALGORITHMS §3 has the rules; numbers below cite them.

import { canonicalJson, isSame } from "./compare.ts";
import { hasReached, parseCursor } from "./cursor.ts";
import { hasValues } from "./filter.ts";
import type { PendingMutation } from "./pending.ts";
import type { Change, ChangeBatch, Json, JsonObject, Refresh, Snapshot, Window, WireError, WireRow } from "./protocol.gen.ts";
import { Schema } from "./schema.ts";
import { newSubscription, type Definition, type Subscription } from "./subscription.ts";
import { Claims } from "./claims.ts";

/** What one store transaction writes. Rows, states and cursor are never written apart (I24). */
export interface Save {
  /** Everything stored before goes first. */
  readonly reset: boolean;
  readonly cursor: string | null;
  readonly puts: readonly (readonly [entity: string, row: WireRow])[];
  readonly deletes: readonly (readonly [entity: string, id: string])[];
  readonly subscriptions: readonly Subscription[];
}

/** What a store gives back at the start. */
export interface StoredReplica {
  readonly cursor: string | null;
  readonly rows: readonly (readonly [entity: string, row: WireRow])[];
  readonly subscriptions: readonly Subscription[];
}

export type Applied = "applied" | "duplicate" | "gap";

/** Tells whether an answer is a row: more than `id` and `_seq`, all that an unreadable one has. */
function isRow(value: Json | undefined): value is WireRow {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    && typeof (value as JsonObject)["id"] === "string" && Number.isSafeInteger((value as JsonObject)["_seq"])
    && Object.keys(value).length > 2;
}

type Rows<T> = Map<string, Map<string, T>>;

export class Replica {
  cursor: string | null = null;
  readonly subscriptions = new Map<string, Subscription>();
  private readonly base: Rows<WireRow> = new Map();
  private readonly claims = new Claims(this.subscriptions);
  /** Rows as last shown, while later ones must not be shown yet; null: what is stored is shown. */
  private held: Rows<WireRow | undefined> | null = null;
  private readyBefore = new Set<string>();
  /** By window, the number that its last frame was true at. */
  private readonly windowSeqs = new Map<string, number>();
  private hasMore = false;
  private isResyncing = false;
  /** Nothing is shown before it is known whose rows these are (I33). */
  private isConcealed = false;
  /** Deletes since a hydration began, by row: a page read before them does not bring rows back. */
  private readonly tombstones: Rows<number> = new Map();
  /** Ids sent so far by refreshes whose last page is still missing. */
  private readonly refreshes = new Map<string, { entity: string; ids: Set<string> }>();
  private touched: Rows<true> = new Map();
  private puts: Rows<WireRow> = new Map();
  private deletes: Rows<true> = new Map();
  private isReset = false;
  private isChanged = false;
  private isStateChanged = false;

  constructor(private schema: Schema = new Schema(null)) {}

  // --- reading

  /** Returns a row as it may be shown. */
  row(entity: string, id: string): WireRow | undefined {
    if (this.isConcealed) return undefined;
    const held = this.held?.get(entity);
    return held?.has(id) === true ? held.get(id) : this.base.get(entity)?.get(id);
  }

  /** Visits the rows of an entity as they may be shown. */
  *rows(entity: string): Iterable<WireRow> {
    if (this.isConcealed) return;
    const held = this.held?.get(entity);
    for (const [id, row] of this.base.get(entity) ?? []) {
      if (held?.has(id) !== true) yield row;
    }
    for (const row of held?.values() ?? []) if (row !== undefined) yield row;
  }

  /** Visits the names of entities of which there are rows. */
  *entities(): Iterable<string> {
    yield* new Set([...this.base.keys(), ...this.held?.keys() ?? []]);
  }

  /** Returns the cursor up to which rows are shown, null while that is not known. */
  get shownCursor(): string | null {
    return this.held === null && !this.isConcealed ? this.cursor : null;
  }

  /** Tells whether a subscription's rows are complete as of the cursor (rule 9). */
  isReady(id: string): boolean {
    const found = this.subscriptions.get(id);
    if (found === undefined || this.isConcealed) return false;
    return this.held === null ? this.isComplete(found) : this.readyBefore.has(id);
  }

  /** Tells whether some subscription still waits for pages. */
  get isHydrating(): boolean {
    for (const one of this.subscriptions.values()) {
      if (one.phase !== "failed" && !this.isComplete(one)) return true;
    }
    return false;
  }

  private isComplete(subscription: Subscription): boolean {
    return subscription.phase === "done" && hasReached(this.cursor, subscription.at);
  }

  /** Returns what must be written since the last call, or null. */
  takeSave(): Save | null {
    if (!this.isChanged) return null;
    const save: Save = {
      reset: this.isReset,
      cursor: this.cursor,
      puts: [...this.puts].flatMap(([entity, rows]) => [...rows.values()].map((row) => [entity, row] as const)),
      deletes: [...this.deletes].flatMap(([entity, ids]) => [...ids.keys()].map((id) => [entity, id] as const)),
      subscriptions: [...this.subscriptions.values()],
    };
    this.puts = new Map();
    this.deletes = new Map();
    this.isReset = this.isChanged = false;
    return save;
  }

  /** Tells whether a subscription's state may have changed since the last call. */
  takeStateChange(): boolean {
    const isStateChanged = this.isStateChanged;
    this.isStateChanged = false;
    return isStateChanged;
  }

  /** Returns the ids whose shown row may have changed since the last call, by entity. */
  takeTouched(): ReadonlyMap<string, ReadonlySet<string>> {
    const touched = new Map([...this.touched].map(([entity, ids]) => [entity, new Set(ids.keys())] as const));
    this.touched = new Map();
    return touched;
  }

  // --- what is asked for

  load(stored: StoredReplica): void {
    this.cursor = stored.cursor;
    for (const [entity, row] of stored.rows) this.place(this.base, entity, row.id, this.schema.complete(entity, row));
    for (const one of stored.subscriptions) this.accept(one);
    for (const [entity, row] of stored.rows) this.claims.keeps(entity, row);
    this.isConcealed = true;
  }

  /** Shows what was stored: it is known to be the caller's own. */
  reveal(): void {
    if (!this.isConcealed) return;
    this.isConcealed = false;
    this.isStateChanged = true;
    for (const [entity, rows] of this.base) for (const id of rows.keys()) this.place(this.touched, entity, id, true);
  }

  /** Takes in a new manifest: rows of older versions get the fields that they lack. */
  useSchema(schema: Schema): void {
    this.schema = schema;
    for (const [entity, rows] of this.base) {
      for (const [id, row] of rows) {
        const completed = schema.complete(entity, row);
        if (completed !== row) this.put(entity, id, completed);
      }
    }
    for (const one of this.subscriptions.values()) this.accept(one);
  }

  subscribe(id: string, definition: Definition): void {
    this.accept(newSubscription(id, definition));
    this.sweep(definition.entity, this.claims.listed(definition.entity));
    this.isChanged = true;
  }

  /** Drops a subscription and the rows that no other one wants (rule 14). */
  unsubscribe(id: string): void {
    const found = this.subscriptions.get(id);
    if (found === undefined) return;
    this.subscriptions.delete(id);
    this.claims.forget(id);
    this.isChanged = true;
    this.sweep(found.definition.entity);
    if (!this.isHydrating) this.tombstones.clear();
  }

  /** Notes that the server refused a subscription: it is told of no row any more. */
  fail(id: string, error: WireError): void {
    const found = this.subscriptions.get(id);
    if (found === undefined) return;
    this.change(found, { phase: "failed", error });
    this.sweep(found.definition.entity);
  }

  /** Takes the cursor of a connection that started without one. */
  startAt(head: string): void {
    this.cursor = head;
    this.isChanged = true;
  }

  /** Drops rows, cursor and states (rule 12); `isKept`: the old rows stay in sight meanwhile. */
  reset(cursor: string | null, isKept: boolean): void {
    if (isKept) this.hold();
    else this.showHeld();
    this.readyBefore.clear();
    for (const [entity, rows] of this.base) for (const [id, row] of rows) this.note(entity, id, row);
    this.base.clear();
    this.tombstones.clear();
    this.refreshes.clear();
    this.claims.clear();
    this.windowSeqs.clear();
    this.puts = new Map();
    this.deletes = new Map();
    this.hasMore = this.isConcealed = false;
    this.isResyncing = isKept;
    this.isReset = this.isChanged = true;
    this.cursor = cursor;
    for (const one of [...this.subscriptions.values()]) {
      this.change(one, { phase: "hydrating", after: null, at: null, ids: null, error: null });
    }
  }

  /** Forgets what a broken connection left half done. */
  interrupt(): void {
    this.refreshes.clear();
  }

  // --- what arrives

  /** Applies a page: rows at or above the local `_seq` (rule 6), unless deleted after it (rule 8). */
  page(message: Snapshot): void {
    const found = this.subscriptions.get(message.subscription);
    if (found === undefined || found.phase === "done" || found.definition.entity !== message.entity) return;
    const at = parseCursor(message.at);
    if (at === null) return;
    const last = message.done ? null : message.rows.at(-1)?.id ?? found.after;
    this.change(found, {
      phase: message.done ? "done" : "hydrating",
      after: last,
      at: hasReached(found.at, message.at) ? found.at : message.at,
      error: null,
    });
    const buried = this.tombstones.get(message.entity);
    for (const row of message.rows) {
      if (at.seq >= (buried?.get(row.id) ?? 0)) this.upsert(message.entity, row);
    }
    this.judgeDoubted(found, last, at.seq);
    if (!this.isHydrating) this.tombstones.clear();
  }

  /** Drops the doubted rows that a page true at `seq` has passed over, up to id `last`. */
  private judgeDoubted({ id, definition: { entity }, after }: Subscription, last: string | null, seq: number): void {
    for (const rowId of this.claims.passed(entity, after, last)) {
      const row = this.base.get(entity)?.get(rowId);
      if (row === undefined || row._seq > seq || !this.claims.matches(id, row)) continue;
      this.claims.leaveToWindows(entity, rowId);
      if (!this.claims.isListed(entity, rowId)) this.drop(entity, rowId);
    }
  }

  /** Takes a window's list of ids; frames of an older version are ignored (rule 17). */
  window(message: Window): void {
    const found = this.subscriptions.get(message.subscription);
    if (found === undefined || found.definition.limit === undefined || message.version < found.version) return;
    this.windowSeqs.set(found.id, parseCursor(message.at)?.seq ?? 0);
    const { entity } = found.definition;
    for (const id of [...found.ids ?? [], ...message.ids]) this.note(entity, id, this.base.get(entity)?.get(id));
    // A window speaks for itself: it never waits for the cursor (rule 16).
    this.change(found, { phase: "done", ids: message.ids, at: null, error: null });
    for (const row of message.rows) this.upsert(entity, row);
    this.sweep(entity, found.ids ?? []);
  }

  /** Applies a batch if it follows the cursor; a gap is never bridged (I25). */
  apply(batch: ChangeBatch): Applied {
    if (batch.after !== this.cursor) {
      return hasReached(this.cursor, batch.through) ? "duplicate" : "gap";
    }
    if (!hasReached(batch.through, batch.after)) return "gap";
    this.hasMore = batch.more;
    if (batch.more) this.hold();
    for (const entry of batch.changes) {
      if (entry.kind === "refresh") this.refresh(entry);
      else this.applyChange(entry);
    }
    if (this.isHydrating) this.isStateChanged = true;
    // The cursor stays before a refresh until its last page: none can be open behind it.
    if (batch.through !== batch.after) this.refreshes.clear();
    this.cursor = batch.through;
    this.isChanged = true;
    return "applied";
  }

  private applyChange(change: Change): void {
    const { entity, row_id: id, seq } = change;
    const local = this.base.get(entity)?.get(id);
    if (change.kind === "delete") {
      // A window that still lists a filtered row keeps it until its own next frame (rule 16).
      if (change.cause === "filtered" && this.claims.isListed(entity, id)) {
        // Unless a frame has brought a newer one: that is not what left.
        if (local !== undefined && local._seq < seq) this.claims.leaveToWindows(entity, id);
        return;
      }
      if (this.isHydrating) this.place(this.tombstones, entity, id, seq);
      if (local !== undefined && local._seq < seq) this.drop(entity, id);
    } else if (change.row !== undefined && (local === undefined || seq > local._seq)) {
      this.upsert(entity, change.row);
    }
  }

  private refresh(entry: Refresh): void {
    const key = canonicalJson([entry.seq, entry.entity, entry.where]);
    const open = this.refreshes.get(key) ?? { entity: entry.entity, ids: new Set<string>() };
    this.refreshes.set(key, open);
    for (const row of entry.rows) {
      open.ids.add(row.id);
      this.upsert(entry.entity, row);
    }
    if (!entry.done) return;
    this.refreshes.delete(key);
    for (const [id, row] of [...this.base.get(entry.entity) ?? []]) {
      if (!open.ids.has(id) && hasValues(row, entry.where, entry.entity, this.schema)) this.drop(entry.entity, id);
    }
  }

  /**
   * Takes what an own mutation confirmed into windows, whose frames keep no step with the cursor:
   * between the end of the overlay and the next frame the row would be missing (I28).
   */
  confirm(mutation: PendingMutation): void {
    const { value, seq = 0 } = mutation;
    for (const { entity, id, kind } of mutation.effects) {
      const windows = [...this.subscriptions.values()]
        .filter(({ definition }) => definition.entity === entity && definition.limit !== undefined)
        // A frame of after it says all there is to say: the row may be gone again (I27).
        .filter((one) => (this.windowSeqs.get(one.id) ?? 0) < seq);
      if (windows.length === 0) continue;
      const local = this.base.get(entity)?.get(id);
      if (kind === "delete") {
        if (local !== undefined && local._seq < seq) this.drop(entity, id);
        continue;
      }
      if (!isRow(value) || value.id !== id) continue;
      for (const one of windows) {
        if (one.ids === null || one.ids.includes(id) || !this.claims.matches(one.id, value)) continue;
        this.change(one, { ids: [...one.ids, id] });
      }
      this.upsert(entity, value);
    }
  }

  /** Tells whether the rows in sight are those from before a resync. */
  get isStale(): boolean {
    return this.isResyncing;
  }

  /** Ends holding where nothing half done is left. */
  release(): void {
    if (this.held === null || this.hasMore || (this.isResyncing && this.isHydrating)) return;
    this.isResyncing = false;
    this.showHeld();
  }

  private hold(): void {
    if (this.held !== null) return;
    this.readyBefore = new Set([...this.subscriptions.keys()].filter((id) => this.isReady(id)));
    this.held = new Map();
  }

  private showHeld(): void {
    for (const [entity, rows] of this.held ?? []) {
      for (const id of rows.keys()) this.place(this.touched, entity, id, true);
    }
    this.held = null;
    this.isStateChanged = true;
  }

  // --- rows

  /** Puts a row unless the local one is newer; one that no subscription wants leaves (rule 14). */
  private upsert(entity: string, row: WireRow): void {
    const local = this.base.get(entity)?.get(row.id);
    if (local !== undefined && local._seq > row._seq) return;
    this.claims.settle(entity, row.id);
    if (!this.claims.keeps(entity, row)) {
      if (local !== undefined) this.drop(entity, row.id);
      return;
    }
    for (const open of this.refreshes.values()) if (open.entity === entity) open.ids.add(row.id);
    const completed = this.schema.complete(entity, row);
    if (local === undefined || !isSame(local, completed)) this.put(entity, row.id, completed);
  }

  /** Drops the rows of an entity, or those of `ids`, that nothing wants any more. */
  private sweep(entity: string, ids?: readonly string[]): void {
    const rows = this.base.get(entity);
    if (rows === undefined) return;
    for (const id of ids ?? [...rows.keys()]) {
      const row = rows.get(id);
      if (row !== undefined && !this.claims.keeps(entity, row)) this.drop(entity, id);
    }
  }

  private put(entity: string, id: string, row: WireRow): void {
    this.note(entity, id, this.base.get(entity)?.get(id));
    this.place(this.base, entity, id, row);
    this.place(this.puts, entity, id, row);
    this.deletes.get(entity)?.delete(id);
    this.isChanged = true;
  }

  private drop(entity: string, id: string): void {
    this.note(entity, id, this.base.get(entity)?.get(id));
    this.base.get(entity)?.delete(id);
    this.claims.settle(entity, id);
    this.puts.get(entity)?.delete(id);
    this.place(this.deletes, entity, id, true);
    this.isChanged = true;
  }

  /** Notes that a row is about to change: kept as it was while holding, else to be shown anew. */
  private note(entity: string, id: string, before: WireRow | undefined): void {
    if (this.held === null) this.place(this.touched, entity, id, true);
    else if (this.held.get(entity)?.has(id) !== true) this.place(this.held, entity, id, before);
  }

  private accept(subscription: Subscription): void {
    this.subscriptions.set(subscription.id, subscription);
    this.claims.compile(subscription, this.schema);
  }

  private change(subscription: Subscription, members: Partial<Subscription>): void {
    this.subscriptions.set(subscription.id, { ...subscription, ...members });
    this.isChanged = this.isStateChanged = true;
  }

  private place<T>(map: Rows<T>, entity: string, id: string, value: T): void {
    const rows = map.get(entity);
    if (rows === undefined) map.set(entity, new Map([[id, value]]));
    else rows.set(id, value);
  }
}
