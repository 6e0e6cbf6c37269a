// The facade: `connect()` and the database that it gives.

import { Auth } from "./auth.ts";
import { digest } from "./digest.ts";
import { PylonError, wireError } from "./errors.ts";
import { compileFilter } from "./filter.ts";
import { IdSource } from "./ids.ts";
import { LiveQuery } from "./live.ts";
import { guarded } from "./observed.ts";
import { LiveFunction } from "./live-function.ts";
import { effectsOf, replay, type Effect, type PendingMutation } from "./pending.ts";
import type { PendingOperation } from "./operations.ts";
import { WS_MESSAGE_BYTES_MAX, type Json, type JsonObject, type WireError, type WireRow } from "./protocol.gen.ts";
import type { Surroundings } from "./requests.ts";
import { LiveRow } from "./row.ts";
import type { Store } from "./store.ts";
import { IndexedDbStore } from "./store-indexeddb.ts";
import { MemoryStore } from "./store-memory.ts";
import { Tab } from "./tab.ts";
import type { TabStatus } from "./tab-messages.ts";
import type { FileObject } from "./upload-machine.ts";
import type {
  AggregateQuestion, AnyApp, AppTypes, ArgsOf, CallOptions, EntityName, FunctionName, Given, GivenArgs, InsertOf, LooseOptions, OptimisticTransaction,
  PartOf, PatchOf, QueryOptions, ReturnOf, Row, RowOf, RowWith, SearchOptions, StreamOptions, UntypedName, UpdateOptions, UploadOptions, Values,
} from "./types.ts";

/** The state of the connection and of what waits to be sent. */
export interface Status {
  readonly state: "connecting" | "live" | "offline" | "resyncing";
  /** Mutations that are not confirmed yet. */
  readonly pending: number;
  /** What went wrong last, until all is well again. */
  readonly error: WireError | null;
  /** False where rows and pending mutations last only as long as this page. */
  readonly persistent: boolean;
}

export interface ConnectOptions {
  /** Where the runtime is; by default where the page came from. */
  readonly url?: string;
  /** A token, for pages of another origin and for programs; pages of the app have a cookie. */
  readonly token?: string;
  /** `indexeddb` where there is one, `memory`, or a store of your own. */
  readonly store?: "indexeddb" | "memory" | Store;
  /** Which version of its page this is: where the app asks for a newer one (`min_client`), `status`
   * says so by an error UPGRADE_REQUIRED. */
  readonly build?: number;
  /** Whose rows these are: apps that share an origin, such as localhost, one day after the other,
   * must not share a store. By default the app whose runtime served this script. */
  readonly app?: string;
  /** @internal */
  readonly surroundings?: Surroundings;
}

/** The runtime that serves this script puts its app's name in the place of the mark. */
const SERVED_BY = "__PYLON_APP__";

const MANIFEST_MS_MAX = 3_000;
/** Room in a frame for what stands around one operation. */
const OPERATION_SIZE_MAX = WS_MESSAGE_BYTES_MAX - 4_096;

/** Connects to the runtime: rows of an earlier visit are there at once, the rest follows. */
export async function connect<A extends AppTypes = AnyApp>(options: ConnectOptions = {}): Promise<Database<A>> {
  const ids = new IdSource(() => Date.now(), (count) => crypto.getRandomValues(new Uint8Array(count)));
  const { url = location.origin, token, store = "indexeddb", app = SERVED_BY } = options;
  const name = `pylon:${new URL(url).origin}:${encodeURIComponent(app)}`;
  const tab = new Tab({
    id: ids.uuid7(),
    url,
    token,
    surroundings: options.surroundings ?? browserSurroundings(),
    // Tabs share a store, and through it a connection; a store of one's own is shared with nobody.
    group: store === "indexeddb" && typeof indexedDB !== "undefined" ? name : null,
    build: options.build ?? 0,
    key: token === undefined ? "" : digest(token),
    openStore: () => openStore(store, name, ids),
    random: Math.random,
    newId: () => ids.uuid7(),
  });
  await tab.start();
  await tab.knowSchema(MANIFEST_MS_MAX);
  return new Database<A>(tab, ids);
}

function browserSurroundings(): Surroundings {
  return {
    WebSocket,
    fetch: (...given) => fetch(...given),
    ...(typeof BroadcastChannel === "undefined" ? {} : { BroadcastChannel }),
    // Pages that did not come over https, or from this machine, have no locks.
    ...(typeof navigator === "undefined" || navigator.locks === undefined ? {} : { locks: navigator.locks }),
  };
}

async function openStore(choice: "indexeddb" | "memory" | Store, name: string, ids: IdSource): Promise<Store> {
  if (typeof choice === "object") return choice;
  if (choice === "memory" || typeof indexedDB === "undefined") return new MemoryStore();
  // A blocked, full or broken IndexedDB costs persistence, not the app (I35).
  return IndexedDbStore.open(indexedDB, name, ids.uuid7()).catch(() => new MemoryStore());
}

/** Returns what JSON keeps of a value: dates as text, without what is undefined. */
function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value ?? null)) as Json;
}

export class Database<A extends AppTypes = AnyApp> {
  readonly auth: Auth;
  private readonly network = (): void => this.tab.wake(navigator.onLine);

  /** Somebody looks at the page: do not let him wait for a timer. */
  private readonly woken = (): void => {
    if (document.visibilityState === "visible") this.tab.wake(true);
  };

  /** @internal */
  constructor(private readonly tab: Tab, private readonly ids: IdSource) {
    this.auth = new Auth(tab);
    this.listen("addEventListener");
  }

  /** Outside of a page there is neither window nor document. */
  private listen(how: "addEventListener" | "removeEventListener"): void {
    globalThis[how]?.("online", this.network);
    globalThis[how]?.("offline", this.network);
    globalThis.document?.[how]("visibilitychange", this.woken);
  }

  // --- reading

  /** A live query: subscribes, hydrates, stays current until it is closed. */
  query<E extends EntityName<A>, const I extends readonly string[] = []>(
    entity: E, options?: QueryOptions<RowOf<A, E>, I>,
  ): LiveQuery<RowWith<A, E, I[number]>>;
  query<R extends Row>(entity: UntypedName<A>, options?: LooseOptions): LiveQuery<R>;
  query(entity: string, options: LooseOptions = {}): unknown {
    return this.prepare(entity, options).keep();
  }

  /** One live row. */
  row<E extends EntityName<A>>(entity: E, id: string): LiveRow<RowOf<A, E>>;
  row<R extends Row>(entity: UntypedName<A>, id: string): LiveRow<R>;
  row(entity: string, id: string): unknown {
    return new LiveRow(this.prepare(entity, { where: { id } }).keep());
  }

  /** The value of a query function, kept current until it is closed. */
  live<F extends FunctionName<A>>(name: F, ...given: GivenArgs<ArgsOf<A, F>>): LiveFunction<ReturnOf<A, F>>;
  live<T>(name: UntypedName<A>, args?: Values): LiveFunction<T>;
  live(name: string, args: object = {}): unknown {
    return this.prepareLive(name, args).keep();
  }

  /** @internal A followed function that is open only while somebody watches it. */
  prepareLive(name: string, args: object): LiveFunction {
    return new LiveFunction(this.tab, { fn: name, args: plain(args) as JsonObject });
  }

  /** @internal A live query that is open only while somebody watches it. */
  prepare(entity: string, options: LooseOptions): LiveQuery<WireRow> {
    const { where, order, limit, include } = options;
    const isWhole = include === undefined || include.length === 0;
    const query = new LiveQuery<WireRow>(isWhole ? this.tab : null, {
      entity,
      where: plain(where ?? {}) as JsonObject,
      ...(order === undefined ? {} : { order: [...order] }),
      ...(limit === undefined ? {} : { limit }),
    });
    if (!isWhole) {
      import("./include.ts").then(
        ({ Neighbours }) => query.through(new Neighbours(this.tab, query, include)),
        () => query.fail(unloaded("include")),
      );
    }
    return query;
  }

  /** Searches on the server, once: rows with all these words, best first. */
  async search<E extends EntityName<A>>(entity: E, text: string, options: SearchOptions = {}): Promise<readonly RowOf<A, E>[]> {
    return (await loaded(import("./questions.ts"), "questions")).search(this.tab.requests, entity, text, options);
  }

  /** Asks the server once for counts, sums and the like: one object per group. */
  async aggregate(entity: EntityName<A>, question: AggregateQuestion): Promise<readonly JsonObject[]> {
    return (await loaded(import("./questions.ts"), "questions")).aggregate(this.tab.requests, entity, question);
  }

  // --- writing

  /** Inserts: seen at once, resolves with the stored row when it is durable. */
  insert<E extends EntityName<A>>(entity: E, values: InsertOf<A, E>): Promise<RowOf<A, E>>;
  insert<R extends Row>(entity: UntypedName<A>, values: Values): Promise<R>;
  insert(entity: string, values: object): Promise<unknown> {
    const { id = this.ids.uuid7(), ...rest } = plain(values) as JsonObject;
    return this.mutate("pylon.insert", { entity, id, values: rest });
  }

  /** Sets these fields and leaves the others, so that two people editing different ones both win. */
  update<E extends EntityName<A>>(entity: E, id: string, values: PatchOf<A, E>, options?: UpdateOptions): Promise<RowOf<A, E>>;
  update<R extends Row>(entity: UntypedName<A>, id: string, values: Values, options?: UpdateOptions): Promise<R>;
  update(entity: string, id: string, values: object, options: UpdateOptions = {}): Promise<unknown> {
    const condition = options.ifSeq === undefined ? {} : { if_seq: options.ifSeq };
    return this.mutate("pylon.update", { entity, id, values: plain(values), ...condition });
  }

  async delete(entity: EntityName<A>, id: string, options: UpdateOptions = {}): Promise<void> {
    await this.mutate("pylon.delete", { entity, id, ...(options.ifSeq === undefined ? {} : { if_seq: options.ifSeq }) });
  }

  /** Calls a function of the app. A mutation waits its turn, offline too; others need the server. */
  call<F extends FunctionName<A>>(name: F, ...given: Given<ArgsOf<A, F>, CallOptions<A>>): Promise<ReturnOf<A, F>>;
  call<T>(name: UntypedName<A>, args?: Values, options?: CallOptions): Promise<T>;
  async call(name: string, args: object = {}, options: CallOptions = {}): Promise<unknown> {
    const given = plain(args) as JsonObject;
    await this.tab.knowSchema(MANIFEST_MS_MAX);
    if (this.tab.schema.functionKind(name) === "mutation") {
      return this.mutate(name, given, this.guess(options.optimistic));
    }
    if (options.onPart !== undefined || options.signal !== undefined) {
      const { collected } = await loaded(import("./streaming.ts"), "streaming");
      return collected(this.parts(name, given, options.signal), this.tab.schema.streams(name), options.onPart);
    }
    const answer = await this.tab.requests.ask("POST", `/api/fn/${encodeURIComponent(name)}`, given);
    return (answer as { value?: unknown } | null)?.value ?? null;
  }

  /** Uploads a file: a small one whole, a larger one in pieces that go on after a lost connection, and after a
   * reload of the page where it is given again. Resolves with what a field of a row takes. */
  async upload(file: Blob, options: UploadOptions = {}): Promise<FileObject> {
    const { upload } = await loaded(import("./upload.ts"), "upload");
    return upload(this.tab.requests, file, options, this.ids.uuid7());
  }

  /** Calls an action that yields: `for await (const part of db.stream("spell", { name }))`. */
  stream<F extends FunctionName<A>>(name: F, ...given: Given<ArgsOf<A, F>, StreamOptions>): AsyncGenerator<PartOf<A, F>, unknown, undefined>;
  stream<P>(name: UntypedName<A>, args?: Values, options?: StreamOptions): AsyncGenerator<P, unknown, undefined>;
  stream(name: string, args: object = {}, options: StreamOptions = {}): unknown {
    return this.parts(name, plain(args) as JsonObject, options.signal);
  }

  private async *parts(name: string, args: JsonObject, signal?: AbortSignal): AsyncGenerator<unknown, unknown, undefined> {
    const { partsOf } = await loaded(import("./streaming.ts"), "streaming");
    try {
      return yield* partsOf(this.tab.requests, name, args, signal);
    } catch (error) {
      // The file loaded later has a class of its own: a page knows the errors of this one.
      throw new PylonError(error as WireError, String((error as PylonError).retryAfter));
    }
  }

  private mutate(fn: string, args: JsonObject, guessed?: readonly Effect[]): Promise<Json> {
    const at = new Date().toISOString();
    const size = new TextEncoder().encode(JSON.stringify(args)).length;
    if (size > OPERATION_SIZE_MAX) {
      return Promise.reject(new PylonError(wireError("PAYLOAD_TOO_LARGE", `${size} bytes are too many for one operation`)));
    }
    const effects = (guessed ?? effectsOf(fn, args)).map((effect): Effect => (
      effect.kind === "insert" ? { ...effect, values: this.filledIn(effect.entity, effect.values, at) } : effect
    ));
    const mutation: PendingMutation = { op_id: this.ids.uuid7(), fn, args, effects, at, size };
    return this.tab.mutate(mutation);
  }

  private filledIn(entity: string, values: JsonObject, now: string): JsonObject {
    return this.tab.schema.withDefaults(entity, values, now, this.tab.caller?.user_id ?? null);
  }

  private guess(optimistic: ((tx: OptimisticTransaction) => void) | undefined): readonly Effect[] {
    const effects: Effect[] = [];
    if (optimistic === undefined) return effects;
    const { view, schema } = this.tab;
    const now = (entity: string, id: string): WireRow | undefined =>
      replay(view.row(entity, id), effects.filter((one) => one.entity === entity && one.id === id));
    optimistic({
      get: now,
      list: (entity, where = {}) => {
        const ids = new Set([...view.rows(entity)].map((row) => row.id));
        for (const effect of effects) if (effect.entity === entity) ids.add(effect.id);
        const wants = compileFilter(plain(where) as JsonObject, entity, schema);
        return [...ids].map((id) => now(entity, id)).filter((row): row is WireRow => row !== undefined && wants(row));
      },
      insert: (entity, values) => {
        const { id = this.ids.uuid7(), ...rest } = plain(values) as JsonObject;
        effects.push({ kind: "insert", entity, id: String(id), values: rest });
        return String(id);
      },
      update: (entity, id, values) => {
        effects.push({ kind: "update", entity, id, values: plain(values) as JsonObject });
      },
      delete: (entity, id) => {
        effects.push({ kind: "delete", entity, id });
      },
    });
    return effects;
  }

  /** What is not confirmed yet, in order, behind what was refused when nobody was there to be told. */
  get pending(): readonly PendingOperation[] {
    return this.tab.pending;
  }

  // --- the connection

  get status(): Status {
    return publicStatus(this.tab.status);
  }

  /** Calls with the status, now and at each change; returns how to stop. */
  onStatus(listener: (status: Status) => void): () => void {
    let last = this.status;
    const stop = this.tab.onStatus((status) => {
      const next = publicStatus(status);
      if (JSON.stringify(next) === JSON.stringify(last)) return;
      last = next;
      listener(next);
    });
    guarded(() => listener(last));
    return stop;
  }

  /** Closes the connection and the store; rows stay stored for the next visit. */
  close(): void {
    this.listen("removeEventListener");
    this.tab.close();
  }
}

/** Waits for a file of the client that is loaded when a page first asks for what is in it. */
function loaded<M>(file: Promise<M>, name: string): Promise<M> {
  return file.catch(() => {
    throw new PylonError(unloaded(name));
  });
}

function unloaded(name: string): WireError {
  return wireError("UNAVAILABLE", `${name}.js cannot be loaded`);
}

function publicStatus({ state, pending, error, persistent }: TabStatus): Status {
  const shown = state === "hydrating" ? "connecting" : state === "closed" ? "offline" : state;
  return { state: shown, pending, error, persistent };
}
