// The engine: carries out the machine's commands on socket, store and timers, and feeds it what
// happens. One tab of a browser runs it, for all of them. Holds no rule of sync; those are in `machine`.
//
// What does not live here: queries, promises and listeners of a page (`tab`).

import { Budget } from "./budget.ts";
import { Connection } from "./connection.ts";
import { PylonError } from "./errors.ts";
import type { Caller, Command, Event, Status, Timer } from "./events.ts";
import { Fetching } from "./fetching.ts";
import type { QueryProgress } from "./live.ts";
import { guarded } from "./observed.ts";
import { Machine } from "./machine.ts";
import { Operations, renewed } from "./operations.ts";
import type { PendingMutation, Settlement } from "./pending.ts";
import type { Manifest, WireRow } from "./protocol.gen.ts";
import type { Surroundings } from "./requests.ts";
import { WriteQueue, type Store, type StoreContents } from "./store.ts";
import { MemoryStore } from "./store-memory.ts";
import { isCall, keyOf, type FunctionCall, type Wanted } from "./subscription.ts";
import { SubscriptionPool } from "./subscriptions.ts";
import type { FollowedFunction } from "./values.ts";
import { View } from "./view.ts";

/** So long a change of caller may take before the connection goes on by itself. */
const HOLD_MS_MAX = 10_000;

export interface EngineOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly store: Store;
  readonly surroundings: Surroundings;
  readonly random: () => number;
  readonly newId: () => string;
  /** Tells whether somebody waits for this operation and will be told of its end. */
  readonly isAwaited: (id: string) => boolean;
}

/** What changed since the last time, all of it at once. */
export interface EngineStep {
  readonly changes: ReadonlyMap<string, readonly string[]>;
  readonly settled: readonly Settlement[];
  readonly stored: readonly string[];
  readonly isRejectedChanged: boolean;
  readonly status?: Status & { readonly persistent: boolean };
  readonly caller?: Caller;
  readonly manifest?: Manifest;
}

/** What a tab that followed knows better than the store: rows, mutations and values that it showed. */
export interface Inheritance {
  readonly caller: Caller | null;
  readonly pending: { all(): readonly PendingMutation[] };
  readonly queries: Iterable<readonly [key: string, state: QueryProgress]>;
  /** Returns the object that is shown for a stored row, so that readers see no other. */
  known(entity: string, row: WireRow): WireRow;
}

export class Engine {
  readonly machine: Machine;
  readonly view: View;
  readonly operations = new Operations();
  caller: Caller | null = null;
  manifest: Manifest | null = null;
  status: Status & { readonly persistent: boolean };
  /** Rises whenever the rows of one caller go. */
  generation = 0;
  private readonly budget = new Budget(() => Date.now());
  private readonly connection: Connection;
  private store: Store;
  private readonly fetching: Fetching;
  private readonly writes: WriteQueue;
  private readonly pool: SubscriptionPool;
  private readonly timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  private step: { -readonly [K in keyof EngineStep]: EngineStep[K] } = Engine.emptyStep();
  private hasStep = false;
  /** Mutations by operation id, as long as they wait: a refused one may have to be kept. */
  private readonly made = new Map<string, PendingMutation>();
  private isStepping = false;
  private isClosed = false;
  private hold: ReturnType<typeof setTimeout> | null = null;
  private readonly events: Event[] = [];

  constructor(private readonly options: EngineOptions, private readonly onStep: (step: EngineStep) => void) {
    this.store = options.store;
    this.machine = new Machine(options.random);
    this.view = new View(this.machine.replica, this.machine.pending);
    this.connection = new Connection(options.url, options.token, options.surroundings, this.budget, {
      opened: () => this.dispatch({ type: "opened" }),
      received: (message) => this.dispatch({ type: "received", message }),
      lost: (code) => this.dispatch({ type: "lost", code }),
      refused: (error) => this.dispatch({ type: "refused", error }),
    });
    this.fetching = new Fetching(this.connection, this.budget, {
      happened: (event) => this.dispatch(event),
      known: (manifest) => {
        if (this.isClosed) return;
        this.attempt(this.store.saveManifest(manifest));
        this.manifest = manifest;
        this.note({ manifest });
        this.dispatch({ type: "manifest", manifest });
      },
    });
    this.writes = new WriteQueue(
      options.store,
      ({ save, kept }) => {
        const stored = this.store.isPersistent ? kept.map((one) => one.op_id) : [];
        this.operations.markStored(stored);
        if (stored.length > 0) this.note({ stored });
        if (save !== null) this.dispatch({ type: "saved", cursor: save.cursor });
      },
      (error) => this.loseStore(error),
    );
    this.watchStore();
    this.pool = new SubscriptionPool({
      add: (id, wanted) => this.dispatch(
        isCall(wanted) ? { type: "followed", id, ...wanted } : { type: "subscribed", id, definition: wanted },
      ),
      remove: (id) => this.dispatch({ type: "unsubscribed", id }),
      hasFailed: (id) => this.machine.replica.subscriptions.get(id)?.phase === "failed"
        || (this.machine.values.get(id)?.error ?? null) !== null,
      later: (ms, call) => {
        const timer = setTimeout(call, ms);
        return () => clearTimeout(timer);
      },
    });
    this.status = { state: "offline", pending: 0, error: null, persistent: options.store.isPersistent };
  }

  private static emptyStep(): EngineStep {
    return { changes: new Map(), settled: [], stored: [], isRejectedChanged: false };
  }

  /** Reads the store and starts connecting. */
  async start(inherited?: Inheritance): Promise<void> {
    const stored = await this.read();
    const clientId = stored.clientId ?? this.options.newId();
    if (stored.clientId === null) this.attempt(this.store.saveClientId(clientId));
    const shownTo = inherited?.caller?.user_id;
    const principal = stored.principal === undefined ? shownTo : stored.principal;
    const kept = principal === undefined ? [] : await this.store.pendingOf(principal).catch(() => []);
    if (this.isClosed) return;
    if (stored.manifest !== undefined) this.manifest = stored.manifest;
    this.operations.load(kept.filter((one) => one.error !== undefined));
    const waiting = kept.filter((one) => one.error === undefined);
    if (this.store.isPersistent) this.operations.markStored(waiting.map((one) => one.op_id));
    // Rows that cannot be told to be whole, or whose, are no replica: they go before anything comes.
    if (stored.replica === undefined && principal !== undefined) this.writes.wipe(principal);
    this.pool.load(stored.replica?.subscriptions ?? []);
    const { replica } = stored;
    // Values are in no store: what was shown stays until the server tells what it is now. Not where
    // the store says whose it is, and yet has nothing: he may have become another.
    if (replica !== undefined ? principal === shownTo : stored.principal === undefined) {
      for (const [key, { value }] of inherited?.queries ?? []) {
        if (value === undefined) continue;  // of rows, or an error
        const subscription = this.pool.acquire(JSON.parse(key) as FunctionCall);
        this.machine.values.take({ subscription, value });
        this.pool.release(subscription);
      }
    }
    const shown = inherited?.pending.all() ?? [];
    const pending = [...waiting, ...shown.filter((one) => one.principal === undefined || one.principal === principal)];
    for (const one of pending) this.made.set(one.op_id, one);
    this.dispatch({
      type: "started", client_id: clientId, pending, principal, manifest: stored.manifest,
      stored: replica && {
        ...replica, rows: replica.rows.map(([entity, row]) => [entity, inherited?.known(entity, row) ?? row] as const),
      },
    });
  }

  private async read(): Promise<StoreContents> {
    try {
      return await this.store.load();
    } catch (error) {
      this.loseStore(error);
      return this.store.load();
    }
  }

  /** Steps the machine; events that commands bring about wait for their turn. */
  dispatch(event: Event): void {
    this.events.push(event);
    if (this.isStepping) return;
    this.isStepping = true;
    try {
      for (let next = this.events.shift(); next !== undefined; next = this.events.shift()) {
        for (const command of this.machine.step(next)) this.carryOut(command);
      }
    } finally {
      this.isStepping = false;
    }
    this.flush();
  }

  private carryOut(command: Command): void {
    switch (command.type) {
      case "connect": return this.hold === null ? this.connection.connect() : undefined;
      case "disconnect": return this.connection.disconnect(command.code, command.reason);
      case "send": return this.connection.send(command.message);
      case "set_timer": return this.setTimer(command.timer, command.ms);
      case "clear_timer": return this.clearTimer(command.timer);
      case "pull": return void this.fetching.pull(command.id, command.cursor, command.subscriptions);
      case "save": return this.writes.save(command.save);
      case "wipe":
        this.generation += 1;
        this.made.clear();
        this.operations.clear();
        this.step.isRejectedChanged = true;
        return this.writes.wipe(command.principal);
      case "load_pending": return void this.loadPending(command.principal);
      case "save_pending": return this.writes.keep(command.mutation);
      case "drop_pending": return this.dropPending(command.op_id);
      case "settle": return this.settle(command.settlement);
      case "fetch_manifest": return void this.fetching.manifest();
      // Now or not at all: later it might end the session of who signed in meanwhile.
      case "forget_session":
        return this.budget.wait() > 0 ? undefined : this.attempt(this.connection.request("POST", "/api/auth/logout"));
      case "caller":
        this.caller = this.step.caller = command.caller;
        return;
      case "publish": return this.publish(command.changes);
      case "status":
        this.status = this.step.status = { ...command.status, persistent: this.store.isPersistent };
        return;
      default: command satisfies never;
    }
  }

  // --- what changed

  private publish(changes: readonly (readonly [entity: string, ids: readonly string[]])[]): void {
    const all = new Map(this.step.changes);
    for (const [entity, ids] of changes) {
      const known = all.get(entity);
      all.set(entity, known === undefined ? ids : [...new Set([...known, ...ids])]);
    }
    this.step.changes = all;
    this.hasStep = true;
  }

  private note(part: Partial<EngineStep>): void {
    Object.assign(this.step, part);
    this.hasStep = true;
    if (!this.isStepping) this.flush();
  }

  private flush(): void {
    const { step } = this;
    const isNew = this.hasStep || step.settled.length > 0 || step.isRejectedChanged
      || step.status !== undefined || step.caller !== undefined;
    if (!isNew) return;
    this.step = Engine.emptyStep();
    this.hasStep = false;
    this.onStep(step);
  }

  // --- queries

  /** Asks for rows or a value on behalf of somebody; returns how to give them back. */
  want(wanted: Wanted): () => void {
    const id = this.pool.acquire(wanted);
    return () => this.pool.release(id);
  }

  stateOf(key: string): QueryProgress | undefined {
    const id = this.pool.find(key);
    const { replica, values } = this.machine;
    const followed = id === undefined ? undefined : values.get(id);
    if (followed !== undefined) return progressOf(followed);
    const found = id === undefined ? undefined : replica.subscriptions.get(id);
    return found === undefined ? undefined
      : { ids: found.ids, error: found.error, ready: replica.isReady(found.id) };
  }

  /** Visits the states of all that is asked for. */
  *states(): Iterable<readonly [key: string, state: QueryProgress]> {
    for (const { definition } of [...this.machine.replica.subscriptions.values()]) {
      const key = keyOf(definition);
      const state = this.stateOf(key);
      if (state !== undefined) yield [key, state];
    }
    for (const one of this.machine.values.all()) yield [keyOf(one.call), progressOf(one)];
  }

  // --- mutations

  mutate(mutation: PendingMutation): void {
    if (this.machine.pending.has(mutation.op_id)) return;
    this.made.set(mutation.op_id, mutation);
    this.dispatch({ type: "mutated", mutation });
  }

  /** Sends again what waits, or what was refused as a new operation. */
  retry(id: string, newId: string): void {
    const refused = this.operations.find(id);
    if (refused === undefined) {
      this.dispatch({ type: "network", is_online: true });
      return this.dispatch({ type: "fired", timer: "push" });
    }
    this.forgetRefused(id);
    this.mutate(renewed(refused, newId));
  }

  discard(id: string): void {
    if (this.operations.find(id) === undefined) this.dispatch({ type: "discarded", op_id: id });
    else this.forgetRefused(id);
  }

  private forgetRefused(id: string): void {
    this.operations.forget(id);
    this.writes.drop(id);
    this.note({ isRejectedChanged: true });
  }

  private settle(settlement: Settlement): void {
    this.step.settled = [...this.step.settled, settlement];
  }

  /** A refusal that reaches nobody is kept, so that it is not lost silently (I30, I34). */
  private dropPending(id: string): void {
    const error = this.step.settled.find((one) => one.op_id === id)?.error;
    const mutation = this.made.get(id);
    this.made.delete(id);
    if (error === undefined || mutation === undefined || this.options.isAwaited(id)) {
      this.operations.forget(id);
      return this.writes.drop(id);
    }
    for (const surplus of this.operations.refuse(mutation, error)) this.writes.drop(surplus);
    this.writes.keep({ ...mutation, error });
    this.note({ isRejectedChanged: true });
  }

  private async loadPending(principal: string | null): Promise<void> {
    const kept = await this.store.pendingOf(principal).catch(() => []);
    this.operations.load(kept.filter((one) => one.error !== undefined));
    this.step.isRejectedChanged = true;
    const pending = kept.filter((one) => one.error === undefined);
    for (const one of pending) this.made.set(one.op_id, one);
    if (this.store.isPersistent) this.operations.markStored(pending.map((one) => one.op_id));
    this.dispatch({ type: "pending_loaded", principal, pending });
  }

  /** Resolves when the app's description is known, cannot be had now, or the time is up. */
  async knowManifest(ms: number): Promise<void> {
    if (this.manifest === null) await this.fetching.within(ms);
  }

  // --- another caller

  /** Removes what the present caller has seen; resolves when it is out of the store too (I33). */
  async forget(): Promise<void> {
    clearTimeout(this.hold ?? undefined);
    // Nothing is asked for until it is settled who the caller is: it would come for the old one.
    this.hold = setTimeout(() => void this.believe(), HOLD_MS_MAX);
    this.connection.disconnect(1000, "the caller changes");
    this.dispatch({ type: "identity" });
    await this.writes.settled();
  }

  /** The caller may become another: what is stored is not shown again before the server says whose. */
  doubt(): Promise<void> {
    return this.store.doubt(true).catch(() => undefined);
  }

  /** The caller is settled: goes on, as whoever it is. */
  async believe(): Promise<void> {
    if (this.hold === null) return this.store.doubt(false).catch(() => undefined);
    clearTimeout(this.hold);
    this.hold = null;
    if (!this.isClosed) this.dispatch({ type: "identity" });
  }

  // --- stores

  private watchStore(): void {
    this.store.onLost?.((error) => this.loseStore(error));
  }

  private attempt(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof PylonError)) this.loseStore(error);
    });
  }

  /** The store failed: the page goes on from memory and says so (I35). */
  private loseStore(error: unknown): void {
    if (this.isClosed) return;
    if (!this.store.isPersistent) return guarded(() => { throw error; });
    this.store.close();
    this.store = new MemoryStore();
    this.writes.replaceStore(this.store);
    this.operations.unmarkStored();
    this.status = { ...this.status, persistent: false };
    this.note({ status: this.status });
    for (const mutation of this.machine.pending.all()) this.writes.keep(mutation);
    this.dispatch({ type: "saved", cursor: this.machine.replica.cursor });
  }

  // --- timers, end

  private setTimer(timer: Timer, ms: number): void {
    this.clearTimer(timer);
    this.timers.set(timer, setTimeout(() => {
      this.timers.delete(timer);
      if (timer === "healthy") this.budget.free(true);
      this.dispatch({ type: "fired", timer });
    }, ms));
  }

  private clearTimer(timer: Timer): void {
    // The machine clears it with the connection: from here on trouble is counted again.
    if (timer === "healthy") this.budget.free(false);
    clearTimeout(this.timers.get(timer));
    this.timers.delete(timer);
  }

  /** Ends it; resolves when the last write is in the store. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.dispatch({ type: "closed" });
    this.isClosed = true;
    clearTimeout(this.hold ?? undefined);
    for (const timer of [...this.timers.keys()]) this.clearTimer(timer);
    await this.writes.settled();
    this.store.close();
  }
}

function progressOf({ value, error }: FollowedFunction): QueryProgress {
  return { ids: null, error, ready: value !== undefined || error !== null, ...(value === undefined ? {} : { value }) };
}
