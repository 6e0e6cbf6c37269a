// Neighbours of a live query's rows: what `include` names, kept current by subscriptions of their own.
//
// A page loads this file when a query first asks for it. Each relation is followed by subscriptions to
// the ids that the rows name, so that a neighbour comes, changes and goes as every row does, behind its
// own policy, and leaves when no row leads to it any more.

import type { LiveQuery, QueryHost, QueryProgress } from "./live.ts";
import type { Json, RelationManifest, WireError, WireRow } from "./protocol.gen.ts";
import type { Definition } from "./subscription.ts";

/** Values of one `in`; the server takes no more. */
const VALUES_MAX = 1_000;
/** Subscriptions of one relation; above, one takes the place of all. */
const CHUNKS_MAX = 4;
const HOPS_MAX = 6;

/** A subscription to some of what a relation leads to. */
interface Chunk {
  readonly key: string;
  readonly values: ReadonlySet<string>;
}

/** One relation, and those behind it. */
interface Hop {
  readonly name: string;
  readonly relation: RelationManifest;
  readonly children: Map<string, Hop>;
  chunks: Chunk[];
  /** Left when those that take their place are ready. */
  stale: Chunk[];
}

interface Dressed {
  readonly found: readonly unknown[];
  readonly row: WireRow;
}

export class Neighbours implements QueryHost {
  private hops = new Map<string, Hop>();
  private mistake: WireError | null = null;
  private manifest: unknown = null;
  private shown: readonly WireRow[];
  private isDressing = false;
  /** By hop (null for the query's own rows) and row, what it looked like last. */
  private dressed = new WeakMap<object, WeakMap<WireRow, Dressed>>();
  private watched = new Map<string, LiveQuery<never>>();

  constructor(
    private readonly host: QueryHost,
    private readonly query: LiveQuery,
    private readonly paths: readonly string[],
  ) {
    this.shown = query.rows;
  }

  get view(): QueryHost["view"] {
    return this.host.view;
  }

  get schema(): QueryHost["schema"] {
    return this.host.schema;
  }

  acquire(definition: Definition): string {
    return this.host.acquire(definition);
  }

  release(key: string): void {
    this.host.release(key);
    this.leave();
  }

  attach(query: LiveQuery<never>): void {
    this.host.attach(query);
  }

  detach(query: LiveQuery<never>): void {
    this.host.detach(query);
  }

  stateOf(key: string): QueryProgress | undefined {
    const state = this.host.stateOf(key);
    if (state === undefined) return undefined;
    const states = [...this.all()].flatMap((hop) => hop.chunks.map((chunk) => this.host.stateOf(chunk.key)));
    const error = state.error ?? this.mistake ?? states.find((one) => one?.error)?.error ?? null;
    const ready = state.ready && this.mistake === null && this.manifest !== null && states.every((one) => one?.ready === true);
    return { ids: state.ids, ready, error };
  }

  dress(rows: readonly WireRow[]): readonly WireRow[] {
    // Asking for rows may tell that rows have changed: that is looked at when this is done.
    if (this.isDressing) return this.again();
    this.isDressing = true;
    if (this.manifest !== this.schema.manifest) this.plan();
    const next = this.follow(this.hops, rows, this);
    this.isDressing = false;
    const isSame = next.length === this.shown.length && next.every((row, at) => row === this.shown[at]);
    if (!isSame) this.shown = next;
    return this.shown;
  }

  private again(): readonly WireRow[] {
    queueMicrotask(() => this.query.refresh([]));
    return this.shown;
  }

  // --- what there is to follow

  private *all(hops = this.hops): Iterable<Hop> {
    for (const hop of hops.values()) {
      yield hop;
      yield* this.all(hop.children);
    }
  }

  private plan(): void {
    this.leave();
    const { manifest } = this.schema;
    this.manifest = manifest;
    if (manifest === null) return;
    for (const path of this.paths) {
      let [hops, entity] = [this.hops, this.query.definition.entity];
      const parts = path.split(".");
      for (const part of parts) {
        const known = manifest.entities.find((one) => one.name === entity)?.relations ?? [];
        const relation = known.find((one) => one.name === part) ?? known.find((one) => one.field === part && one.many !== true);
        if (relation === undefined || parts.length > HOPS_MAX) {
          const hint = `there are ${known.map((one) => one.name).join(", ")}`;
          this.mistake = parts.length > HOPS_MAX
            ? { code: "INVALID_ARGUMENT", message: `a path of include has at most ${HOPS_MAX} hops` }
            : { code: "INVALID_ARGUMENT", message: `${entity} has no relation ${part}`, hint };
          return;
        }
        let hop = hops.get(relation.name);
        if (hop === undefined) {
          hop = { name: relation.name, relation, children: new Map(), chunks: [], stale: [] };
          hops.set(relation.name, hop);
          this.watch(relation.entity);
        }
        [hops, entity] = [hop.children, relation.entity];
      }
    }
  }

  /** Has changes of an entity's rows looked at. */
  private watch(entity: string): void {
    if (this.watched.has(entity)) return;
    const look = (ids?: readonly string[]): void => {
      if (ids === undefined || ids.length > 0) this.query.refresh([]);
    };
    const watcher = { definition: { entity, where: {} }, refresh: look, recompile: () => undefined };
    this.watched.set(entity, watcher as unknown as LiveQuery<never>);
    this.host.attach(watcher as unknown as LiveQuery<never>);
  }

  private leave(): void {
    for (const hop of this.all()) for (const chunk of [...hop.chunks, ...hop.stale]) this.host.release(chunk.key);
    for (const watcher of this.watched.values()) this.host.detach(watcher);
    this.watched.clear();
    this.hops = new Map();
    this.dressed = new WeakMap();
    this.mistake = this.manifest = null;
  }

  // --- following it

  /** Returns the rows with their neighbours; a row of which nothing changed is the same object. */
  private follow(hops: Map<string, Hop>, rows: readonly WireRow[], place: object): readonly WireRow[] {
    if (hops.size === 0) return rows;
    const found = [...hops.values()].map((hop) => this.neighbours(hop, rows));
    let known = this.dressed.get(place);
    if (known === undefined) this.dressed.set(place, known = new WeakMap());
    return rows.map((row) => {
      const parts = found.map((of) => of(row));
      const last = known.get(row);
      if (last !== undefined && last.found.every((part, at) => isSame(part, parts[at]))) return last.row;
      const added = [...hops.values()].map((hop, at) => [hop.name, parts[at]]);
      const dressed = { ...row, ...Object.fromEntries(added) } as WireRow;
      known.set(row, { found: parts, row: dressed });
      return dressed;
    });
  }

  private neighbours(hop: Hop, rows: readonly WireRow[]): (row: WireRow) => Json {
    const { entity, field, many } = hop.relation;
    const wanted = new Set<string>();
    for (const row of rows) {
      const value = many === true ? row.id : row[field];
      if (typeof value === "string") wanted.add(value);
    }
    this.cover(hop, wanted);
    const reached: WireRow[] = [];
    if (many === true) {
      for (const row of this.view.rows(entity)) if (wanted.has(row[field] as string)) reached.push(row);
      reached.sort((one, other) => (one.id < other.id ? -1 : 1));
    } else {
      for (const id of wanted) {
        const row = this.view.row(entity, id);
        if (row !== undefined) reached.push(row);
      }
    }
    const dressed = this.follow(hop.children, reached, hop);
    if (many !== true) {
      const byId = new Map(dressed.map((row) => [row.id, row]));
      return (row) => byId.get(row[field] as string) ?? null;
    }
    const lists = new Map<string, WireRow[]>();
    // What is dressed may hold a neighbour in the field's place: the bare row says whose it is.
    reached.forEach((row, at) => {
      const list = lists.get(row[field] as string);
      if (list === undefined) lists.set(row[field] as string, [dressed[at] as WireRow]);
      else list.push(dressed[at] as WireRow);
    });
    return (row) => lists.get(row.id) ?? [];
  }

  /** Subscribes to what is wanted and not subscribed to yet, and leaves what nobody wants. */
  private cover(hop: Hop, wanted: ReadonlySet<string>): void {
    const isWanted = (chunk: Chunk): boolean => [...chunk.values].some((value) => wanted.has(value));
    hop.stale.push(...hop.chunks.filter((chunk) => !isWanted(chunk)));
    hop.chunks = hop.chunks.filter(isWanted);
    const missing = [...wanted].filter((value) => !hop.chunks.some((chunk) => chunk.values.has(value)));
    if (missing.length > 0) {
      const isFull = hop.chunks.length >= CHUNKS_MAX;
      if (isFull) hop.stale.push(...hop.chunks.splice(0));
      const values = (isFull ? [...wanted] : missing).sort();
      for (let at = 0; at < values.length; at += VALUES_MAX) hop.chunks.push(this.chunk(hop, values.slice(at, at + VALUES_MAX)));
    }
    if (hop.stale.length > 0 && hop.chunks.every((chunk) => this.host.stateOf(chunk.key)?.ready === true)) {
      for (const chunk of hop.stale.splice(0)) this.host.release(chunk.key);
    }
  }

  private chunk(hop: Hop, values: string[]): Chunk {
    const { entity, field, many } = hop.relation;
    const where = { [many === true ? field : "id"]: { in: values } };
    return { key: this.host.acquire({ entity, where }), values: new Set(values) };
  }
}

function isSame(one: unknown, other: unknown): boolean {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((row, at) => row === other[at]);
}
