// The engine: carries out the machine's commands on socket, stores and timers, and feeds it what
// happens. Holds no rule of sync; those are in `machine`.

import { Connection, type Surroundings } from "./connection.ts";
import { PylonError, wireError } from "./errors.ts";
import type { Caller, Command, Event, Status, Timer } from "./events.ts";
import { guarded, type LiveQuery, type QueryHost } from "./live.ts";
import { Machine } from "./machine.ts";
import type { PendingMutation, Settlement } from "./pending.ts";
import { isBatch } from "./codec.ts";
import { PULL_LIMIT_MAX, type ChangeBatch, type Json, type Manifest, type SubscriptionSpec } from "./protocol.gen.ts";
import { Schema } from "./schema.ts";
import { SaveQueue, type Store } from "./store.ts";
import { MemoryStore } from "./store-memory.ts";
import type { Definition, Subscription } from "./subscription.ts";
import { SubscriptionPool } from "./subscriptions.ts";
import { View } from "./view.ts";

/** A pull's address longer than this is cut: without subscriptions it brings more, never less. */
const PULL_URL_MAX = 6_000;

export interface EngineOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly store: Store;
  readonly surroundings: Surroundings;
  readonly random: () => number;
  readonly newId: () => string;
}

/** The state of the connection, for people. */
export interface EngineStatus extends Status {
  readonly isPersistent: boolean;
}

interface Waiter {
  readonly resolve: (value: Json) => void;
  readonly reject: (error: PylonError) => void;
}

export class Engine implements QueryHost {
  readonly machine: Machine;
  readonly connection: Connection;
  readonly view: View;
  schema = new Schema(null);
  status: EngineStatus;
  caller: Caller | null = null;
  private store: Store;
  private readonly saves: SaveQueue;
  private readonly pool: SubscriptionPool;
  private readonly timers = new Map<Timer, ReturnType<typeof setTimeout>>();
  private readonly waiters = new Map<string, Waiter>();
  private readonly queries = new Set<LiveQuery<never>>();
  private readonly statusListeners = new Set<(status: EngineStatus) => void>();
  private readonly callerListeners = new Set<(caller: Caller) => void>();
  private schemaWaiters: (() => void)[] = [];
  private isFetchingManifest = false;
  private isStepping = false;
  private readonly events: Event[] = [];

  constructor(private readonly options: EngineOptions) {
    this.store = options.store;
    this.machine = new Machine(options.random);
    this.view = new View(this.machine.replica, this.machine.pending);
    this.connection = new Connection(options.url, options.token, options.surroundings, {
      opened: () => this.dispatch({ type: "opened" }),
      received: (message) => this.dispatch({ type: "received", message }),
      lost: (code) => this.dispatch({ type: "lost", code }),
      refused: (error) => this.dispatch({ type: "refused", error }),
    });
    this.saves = new SaveQueue(
      options.store,
      (cursor) => this.dispatch({ type: "saved", cursor }),
      (error) => this.loseStore(error),
    );
    this.pool = new SubscriptionPool({
      add: (id, definition) => this.dispatch({ type: "subscribed", id, definition }),
      remove: (id) => this.dispatch({ type: "unsubscribed", id }),
      find: (id) => this.subscription(id),
      later: (ms, call) => {
        const timer = setTimeout(call, ms);
        return () => clearTimeout(timer);
      },
    });
    this.status = { state: "offline", pending: 0, error: null, isPersistent: options.store.isPersistent };
  }

  /** Reads the store and starts connecting; the page's own queries may be made from here on. */
  async start(): Promise<void> {
    const stored = await this.store.load().catch((error: unknown) => {
      this.loseStore(error);
      return this.store.load();
    });
    const clientId = stored.clientId ?? this.options.newId();
    if (stored.clientId === null) this.attempt(this.store.saveClientId(clientId));
    if (stored.manifest !== undefined) this.useManifest(stored.manifest);
    const { principal, replica } = stored;
    const pending = principal === undefined ? [] : await this.store.pendingOf(principal).catch(() => []);
    this.pool.load(replica?.subscriptions ?? []);
    this.dispatch({
      type: "started", client_id: clientId, pending,
      ...(replica === undefined ? {} : { stored: replica }),
      ...(principal === undefined ? {} : { principal }),
      ...(stored.manifest === undefined ? {} : { manifest: stored.manifest }),
    });
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
  }

  private carryOut(command: Command): void {
    switch (command.type) {
      case "connect": return this.connection.connect();
      case "disconnect": return this.connection.disconnect(command.code, command.reason);
      case "send": return this.connection.send(command.message);
      case "set_timer": return this.setTimer(command.timer, command.ms);
      case "clear_timer": return this.clearTimer(command.timer);
      case "pull": return void this.pull(command.id, command.cursor, command.subscriptions);
      case "save": return this.saves.add(command.save);
      case "wipe": return this.saves.wipe(command.principal);
      case "load_pending": return void this.loadPending(command.principal);
      case "save_pending": return this.attempt(this.store.savePending(command.mutation));
      case "drop_pending": return this.attempt(this.store.dropPending(command.op_id));
      case "settle": return this.settle(command.settlement);
      case "fetch_manifest": return void this.fetchManifest();
      case "forget_session": return this.attempt(this.connection.request("POST", "/api/auth/logout"));
      case "caller":
        this.caller = command.caller;
        for (const listener of [...this.callerListeners]) guarded(() => listener(command.caller));
        return;
      case "publish": return this.publish(new Map(command.changes));
      case "status": return this.tellStatus({ ...command.status, isPersistent: this.store.isPersistent });
      default: command satisfies never;
    }
  }

  // --- queries

  subscription(id: string): Subscription | undefined {
    return this.machine.replica.subscriptions.get(id);
  }

  acquire(definition: Definition): string {
    return this.pool.acquire(definition);
  }

  release(subscription: string): void {
    this.pool.release(subscription);
  }

  attach(query: LiveQuery<never>): void {
    this.queries.add(query);
  }

  detach(query: LiveQuery<never>): void {
    this.queries.delete(query);
  }

  private publish(changes: ReadonlyMap<string, readonly string[]>): void {
    for (const query of [...this.queries]) query.refresh(changes.get(query.definition.entity) ?? []);
  }

  // --- mutations

  /** Takes a mutation in; resolves with the server's value when it is durable. */
  mutate(mutation: PendingMutation): Promise<Json> {
    return new Promise((resolve, reject) => {
      this.waiters.set(mutation.op_id, { resolve, reject });
      this.dispatch({ type: "mutated", mutation });
    });
  }

  private settle(settlement: Settlement): void {
    const waiter = this.waiters.get(settlement.op_id);
    this.waiters.delete(settlement.op_id);
    if (settlement.error === undefined) waiter?.resolve(settlement.value ?? null);
    else waiter?.reject(new PylonError(settlement.error));
  }

  private async loadPending(principal: string | null): Promise<void> {
    const pending = await this.store.pendingOf(principal).catch(() => []);
    this.dispatch({ type: "pending_loaded", principal, pending });
  }

  // --- catching up

  private async pull(id: number, cursor: string, subscriptions: readonly SubscriptionSpec[]): Promise<void> {
    const query = `/api/sync/pull?limit=${PULL_LIMIT_MAX}&cursor=${encodeURIComponent(cursor)}`;
    const specs = encodeURIComponent(JSON.stringify(subscriptions));
    const path = specs.length > PULL_URL_MAX ? query : `${query}&subscriptions=${specs}`;
    try {
      const batch = await this.connection.request("GET", path);
      if (isBatch(batch)) this.dispatch({ type: "pulled", id, batch: batch as ChangeBatch });
      else this.dispatch({ type: "pull_failed", id, error: wireError("UNAVAILABLE", "the answer is no batch") });
    } catch (error) {
      if (!(error instanceof PylonError)) throw error;
      this.dispatch({ type: "pull_failed", id, error: wireError(error.code, error.message) });
    }
  }

  // --- the app's description

  private useManifest(manifest: Manifest): void {
    this.schema = new Schema(manifest);
    for (const query of this.queries) query.recompile();
  }

  /** Resolves when the manifest is known, cannot be had now, or the time is up. */
  async knowSchema(ms: number): Promise<void> {
    if (this.schema.manifest !== null) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.schemaWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
      void this.fetchManifest();
    });
  }

  private async fetchManifest(): Promise<void> {
    if (this.isFetchingManifest) return;
    this.isFetchingManifest = true;
    try {
      const manifest = await this.connection.request("GET", "/api/schema") as Manifest;
      if (!Array.isArray(manifest.entities) || typeof manifest.hash !== "string") return;
      this.attempt(this.store.saveManifest(manifest));
      this.dispatch({ type: "manifest", manifest });
      this.useManifest(manifest);
    } catch (error) {
      // The next welcome names the manifest again.
      if (!(error instanceof PylonError)) throw error;
    } finally {
      this.isFetchingManifest = false;
      for (const waiter of this.schemaWaiters.splice(0)) waiter();
    }
  }

  // --- stores

  private attempt(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof PylonError)) this.loseStore(error);
    });
  }

  /** The store failed: the page goes on from memory and says so (I35). */
  private loseStore(error: unknown): void {
    if (!this.store.isPersistent) return guarded(() => { throw error; });
    this.store.close();
    this.store = new MemoryStore();
    this.saves.replaceStore(this.store);
    this.tellStatus({ ...this.status, isPersistent: false });
    for (const mutation of this.machine.pending.all()) void this.store.savePending(mutation);
    this.dispatch({ type: "saved", cursor: this.machine.replica.cursor });
  }

  /** Removes what the present caller has seen, before anything else happens (I33). */
  forget(): void {
    this.dispatch({ type: "identity" });
  }

  // --- status, timers, end

  onStatus(listener: (status: EngineStatus) => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  onCaller(listener: (caller: Caller) => void): () => void {
    this.callerListeners.add(listener);
    return () => this.callerListeners.delete(listener);
  }

  private tellStatus(status: EngineStatus): void {
    this.status = status;
    for (const listener of [...this.statusListeners]) guarded(() => listener(status));
  }

  private setTimer(timer: Timer, ms: number): void {
    this.clearTimer(timer);
    this.timers.set(timer, setTimeout(() => {
      this.timers.delete(timer);
      this.dispatch({ type: "fired", timer });
    }, ms));
  }

  private clearTimer(timer: Timer): void {
    clearTimeout(this.timers.get(timer));
    this.timers.delete(timer);
  }

  close(): void {
    this.dispatch({ type: "closed" });
    for (const timer of this.timers.keys()) this.clearTimer(timer);
    for (const waiter of this.waiters.values()) {
      waiter.reject(new PylonError(wireError("UNAVAILABLE", "the database was closed")));
    }
    this.waiters.clear();
    this.store.close();
  }
}
