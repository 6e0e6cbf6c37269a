// The tab: queries, promises and listeners of one page, over whatever is behind it: the engine where
// this tab leads, a mirror of the leader's where it follows. Holds no rule of sync.
//
// When what is behind it changes hands, the page goes on showing what it showed until the new one is
// at least as far: nobody sees rows go and come back.

import { hasReached } from "./cursor.ts";
import { Engine, type EngineOptions, type EngineStep } from "./engine.ts";
import { failure, PylonError, wireError } from "./errors.ts";
import type { Caller } from "./events.ts";
import { answerQuestion, Followers } from "./followers.ts";
import { Leadership, type Role, type TabCommand, type TabEvent, type TabTimer } from "./leadership.ts";
import type { LiveQuery, QueryHost, QueryProgress } from "./live.ts";
import { guarded } from "./observed.ts";
import type { LiveFunction, ValueHost } from "./live-function.ts";
import { Mirror } from "./mirror.ts";
import type { PendingOperation } from "./operations.ts";
import { Pending, type PendingMutation, type Settlement } from "./pending.ts";
import type { Json, Manifest } from "./protocol.gen.ts";
import { Requests, type Surroundings } from "./requests.ts";
import { Rivalry } from "./rivalry.ts";
import { Schema } from "./schema.ts";
import type { Store } from "./store.ts";
import { MemoryStore } from "./store-memory.ts";
import type { Wanted } from "./subscription.ts";
import type { TabNews, TabQuestion, TabRequest, TabSaying, TabStatus } from "./tab-messages.ts";
import { View } from "./view.ts";
import { Wants } from "./wants.ts";

/** So long a follower waits for the leader to have done something. */
const ANSWER_MS_MAX = 3_000;
const OUTDATED = wireError("UPGRADE_REQUIRED", "the app asks for a newer page: load it again");

export interface TabOptions {
  readonly id: string;
  readonly url: string;
  readonly token: string | undefined;
  readonly surroundings: Surroundings;
  /** The name that all tabs of this database share; null for a tab that keeps to itself. */
  readonly group: string | null;
  /** Names whose connection it is, without saying the token. */
  readonly key: string;
  /** Which version of its page this is. */
  readonly build: number;
  readonly openStore: () => Promise<Store>;
  readonly random: () => number;
  readonly newId: () => string;
}

interface Waiter {
  readonly mutation: PendingMutation;
  readonly resolve: (value: Json) => void;
  readonly reject: (error: PylonError) => void;
}

const NOBODY = { row: () => undefined, rows: () => [] };

export class Tab implements QueryHost, ValueHost {
  readonly requests: Requests;
  view = new View(NOBODY, new Pending());
  schema = new Schema(null);
  private readonly leadership = new Leadership();
  private rivalry: Rivalry | null = null;
  private engine: Engine | null = null;
  private followers: Followers | null = null;
  private mirror: Mirror | null = null;
  /** What is shown: the engine, the mirror, or for a while the one before. */
  private source: Engine | Mirror | null = null;
  /** Counts changes of role: what an older one began is dropped. */
  private turn = 0;
  private readonly wants = new Wants({
    ask: (wanted) => {
      if (this.engine !== null) return this.engine.want(wanted);
      this.request({ type: "want", wanted });
      return null;
    },
    giveBack: (key) => this.request({ type: "unwant", key }),
  });
  private readonly waiters = new Map<string, Waiter>();
  private readonly queries = new Set<LiveQuery<never>>();
  private readonly values = new Set<LiveFunction<never>>();
  private readonly statusListeners = new Set<(status: TabStatus) => void>();
  private readonly callerListeners = new Set<(caller: Caller) => void>();
  private readonly timers = new Map<TabTimer, ReturnType<typeof setTimeout>>();
  /** What followers asked for before there was an engine. */
  private backlog: (readonly [tab: string, request: TabRequest])[] = [];
  private readonly questions = new Map<number, () => void>();
  private asked = 0;
  private shown: (() => void)[] = [];
  private isClosed = false;

  constructor(private readonly options: TabOptions) {
    this.requests = new Requests(options.url, options.token, options.surroundings);
  }

  /** Resolves when there is something behind this tab. */
  async start(): Promise<void> {
    const { group, surroundings, id, key } = this.options;
    const Channel = surroundings.BroadcastChannel;
    const isShown = new Promise<void>((resolve) => this.shown.push(resolve));
    if (group === null || Channel === undefined) {
      this.become("leading", null);
    } else {
      this.rivalry = new Rivalry(group, surroundings, Channel, {
        heard: (message) => this.step({ type: "heard", message }),
        granted: () => this.step({ type: "granted" }),
        lost: () => this.step({ type: "lost" }),
      });
      this.step({ type: "started", id, key, has_locks: this.rivalry.hasLocks });
    }
    await isShown;
  }

  // --- who leads

  private step(event: TabEvent): void {
    for (const command of this.leadership.step(event)) this.carryOut(command);
  }

  private carryOut(command: TabCommand): void {
    switch (command.type) {
      case "request_lock": return this.rivalry?.requestLock();
      case "steal_lock": return this.rivalry?.stealLock();
      case "release_lock": return this.rivalry?.releaseLock();
      case "say": return this.rivalry?.say(command.message);
      case "become": return this.become(command.role, command.leader);
      case "serve": return this.serve(command.tab, command.request);
      case "forget_tab": return this.followers?.forget(command.tab);
      case "take": return this.take(command.news);
      case "set_timer": {
        const { timer } = command;
        clearTimeout(this.timers.get(timer));
        this.timers.set(timer, setTimeout(() => this.step({ type: "fired", timer }), command.ms));
        return;
      }
      case "clear_timer": return clearTimeout(this.timers.get(command.timer));
      default: command satisfies never;
    }
  }

  private say(saying: TabSaying, to?: string): void {
    this.rivalry?.say(this.leadership.addressed(saying, to));
  }

  private become(role: Role, leader: string | null): void {
    this.turn += 1;
    void this.engine?.close();
    this.stopLeading();
    switch (role) {
      case "leading": case "alone": return void this.lead(role === "alone");
      case "following": return this.follow(leader ?? "");
      case "seeking": case "closed": return;
      default: role satisfies never;
    }
  }

  private stopLeading(): void {
    this.engine = this.followers = null;
    this.backlog = [];
    this.wants.orphan();
  }

  // --- leading

  private async lead(isAlone: boolean): Promise<void> {
    const { turn, options } = this;
    const store = isAlone ? new MemoryStore() : await options.openStore();
    if (turn !== this.turn) return store.close();
    const before = this.source;
    const engineOptions: EngineOptions = { ...options, store, isAwaited: (id) => this.waiters.has(id) };
    const engine = new Engine(engineOptions, (step) => this.followEngine(engine, step));
    // What this tab showed as a follower goes over to its engine, with the very same objects.
    await engine.start(before instanceof Mirror && before.isComplete ? before : undefined);
    if (turn !== this.turn) return engine.close();
    this.engine = engine;
    this.followers = new Followers(engine, (saying, to) => this.say(saying, to));
    for (const { mutation } of this.waiters.values()) engine.mutate(mutation);
    this.wants.renew();
    for (const [tab, request] of this.backlog.splice(0)) this.serve(tab, request);
    if (!this.mayWait(before, engine)) this.show(engine);
  }

  /** Tells whether the mirror should stay in sight: the engine is not as far, and may still get there. */
  private mayWait(before: Engine | Mirror | null, engine: Engine): boolean {
    if (!(before instanceof Mirror) || !before.isComplete || engine.generation > 0) return false;
    const { state } = engine.status;
    return state !== "live" && state !== "offline" && !(
      before.cursor !== null && hasReached(engine.machine.replica.shownCursor, before.cursor)
    );
  }

  private followEngine(engine: Engine, step: EngineStep): void {
    if (engine !== this.engine) return;
    if (this.source === engine) {
      this.takeStep(step);
    } else {
      this.settle(step.settled);
      for (const { op_id, error } of step.settled) if (error !== undefined) this.mirror?.reject(op_id);
      if (this.mirror !== null) this.refresh(this.mirror.takeTouched());
      if (this.source !== null && !this.mayWait(this.source, engine)) this.show(engine);
    }
    this.followers?.tell(step);
  }

  private serve(tab: string, request: TabRequest): void {
    if (this.followers === null) this.backlog.push([tab, request]);
    else this.followers.serve(tab, request);
  }

  // --- following

  private follow(leader: string): void {
    const before = this.source instanceof Mirror ? this.source : null;
    this.mirror = new Mirror((entity, row) => before?.known(entity, row) ?? row);
    const mutations = [...this.waiters.values()].map(({ mutation }) => mutation);
    for (const mutation of mutations) this.mirror.mutate(mutation);
    this.say({ type: "follow", wanted: this.wants.all, mutations }, leader);
  }

  /** Asks the leader for something, where there is one to ask. */
  private request(request: TabRequest): void {
    if (this.leadership.role !== "following") return;
    this.say(request);
    this.step({ type: "asked" });
  }

  private take(news: TabNews): void {
    const { mirror } = this;
    if (news.type === "answer") return this.questions.get(news.number)?.();
    if (mirror === null) return;
    switch (news.type) {
      case "copy": return mirror.copy(news.generation, news.rows);
      case "copied":
        mirror.complete(news.state);
        mirror.takeTouched();
        return this.show(mirror);
      case "changed": {
        const { change } = news;
        mirror.apply(change);
        if (this.source !== mirror) return this.settle(change.settled);
        return this.takeStep({
          ...change, changes: mirror.takeTouched(), isRejectedChanged: change.rejected !== undefined,
        });
      }
      default: news satisfies never;
    }
  }

  // --- what is shown

  private show(source: Engine | Mirror): void {
    this.source = source;
    this.view = source.view;
    if (source !== this.mirror) this.mirror = null;
    if (source.manifest !== null && source.manifest.hash !== this.schema.hash) this.schema = new Schema(source.manifest);
    for (const query of [...this.queries]) query.recompile();
    for (const value of [...this.values]) value.refresh();
    this.tellStatus();
    if (source.caller !== null) this.tellCaller(source.caller);
    for (const resolve of this.shown.splice(0)) resolve();
    if (source === this.engine) this.followers?.show();
  }

  private takeStep(step: EngineStep): void {
    this.settle(step.settled);
    if (step.manifest !== undefined) this.useManifest(step.manifest);
    this.refresh(step.changes);
    if (step.caller !== undefined) this.tellCaller(step.caller);
    this.tellStatus();
  }

  private refresh(changes: ReadonlyMap<string, readonly string[]>): void {
    for (const query of [...this.queries]) query.refresh(changes.get(query.definition.entity) ?? []);
    for (const value of [...this.values]) value.refresh();
  }

  private useManifest(manifest: Manifest): void {
    this.schema = new Schema(manifest);
    for (const query of [...this.queries]) query.recompile();
    for (const resolve of this.schemaWaiters.splice(0)) resolve();
  }

  private schemaWaiters: (() => void)[] = [];

  /** Resolves when the app's description is known, cannot be had now, or the time is up. */
  async knowSchema(ms: number): Promise<void> {
    if (this.schema.manifest !== null) return;
    if (this.engine !== null) return this.engine.knowManifest(ms);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.schemaWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  // --- queries

  acquire(wanted: Wanted): string {
    return this.wants.acquire(wanted);
  }

  release(key: string): void {
    this.wants.release(key);
  }

  stateOf(key: string): QueryProgress | undefined {
    return this.source?.stateOf(key);
  }

  attach(query: LiveQuery<never>): void {
    this.queries.add(query);
  }

  detach(query: LiveQuery<never>): void {
    this.queries.delete(query);
  }

  attachValue(value: LiveFunction<never>): void {
    this.values.add(value);
  }

  detachValue(value: LiveFunction<never>): void {
    this.values.delete(value);
  }

  // --- mutations

  /** Takes a mutation in; resolves with the server's value when it is durable. */
  mutate(mutation: PendingMutation): Promise<Json> {
    return new Promise((resolve, reject) => {
      this.waiters.set(mutation.op_id, { mutation, resolve, reject });
      if (this.mirror !== null) this.mirror.mutate(mutation);
      if (this.engine === null) this.request({ type: "mutate", mutation });
      else this.engine.mutate(mutation);
      if (this.source instanceof Mirror && this.source === this.mirror) {
        this.refresh(this.mirror.takeTouched());
        this.tellStatus();
      }
    });
  }

  private settle(settled: readonly Settlement[]): void {
    for (const { op_id, value, error } of settled) {
      const waiter = this.waiters.get(op_id);
      this.waiters.delete(op_id);
      if (waiter === undefined) continue;
      if (error === undefined) {
        waiter.resolve(value ?? null);
        continue;
      }
      waiter.reject(failure(error));
      // It is told here: the leader need not keep it for somebody to see.
      this.request({ type: "discard", op_id });
    }
  }

  get pending(): readonly PendingOperation[] {
    const { source } = this;
    if (source === null) return [];
    const pending = source instanceof Engine ? source.machine.pending : source.pending;
    return source.operations.list(pending, {
      retry: (id) => this.act({ type: "retry", op_id: id, new_id: this.options.newId() }),
      discard: (id) => this.act({ type: "discard", op_id: id }),
    });
  }

  private act(request: TabRequest & { type: "retry" | "discard" }): void {
    if (this.engine === null) return this.request(request);
    if (request.type === "retry") this.engine.retry(request.op_id, request.new_id);
    else this.engine.discard(request.op_id);
  }

  // --- the caller

  /** Has the leader do something about the caller's rows; resolves when it is done, or nobody answers. */
  async ask(question: TabQuestion): Promise<void> {
    if (this.engine !== null) return answerQuestion(this.engine, question);
    if (question === "forget" && this.mirror !== null) {
      this.mirror.leave();
      if (this.source === this.mirror) this.refresh(this.mirror.takeTouched());
    }
    const number = ++this.asked;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ANSWER_MS_MAX);
      this.questions.set(number, () => {
        clearTimeout(timer);
        resolve();
      });
      this.request({ type: "ask", number, what: question });
    });
    this.questions.delete(number);
  }

  /** Tells whether the socket is this tab's own. */
  get isLeading(): boolean {
    return this.engine !== null;
  }

  get caller(): Caller | null {
    return this.source?.caller ?? null;
  }

  onCaller(listener: (caller: Caller) => void): () => void {
    this.callerListeners.add(listener);
    return () => this.callerListeners.delete(listener);
  }

  private tellCaller(caller: Caller): void {
    for (const listener of [...this.callerListeners]) guarded(() => listener(caller));
  }

  // --- status, end

  get status(): TabStatus {
    const { source } = this;
    const status = source?.status ?? { state: "connecting", pending: 0, error: null, persistent: false };
    return {
      ...status,
      pending: source instanceof Mirror ? source.pending.count : status.pending,
      // Each tab says it of its own page, whoever leads.
      error: (this.schema.manifest?.min_client ?? 0) > this.options.build ? OUTDATED : status.error,
    };
  }

  onStatus(listener: (status: TabStatus) => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  private tellStatus(): void {
    const { status } = this;
    for (const listener of [...this.statusListeners]) guarded(() => listener(status));
  }

  /** The network came or went, or somebody looks at the page: nobody should wait for a timer. */
  wake(isOnline: boolean): void {
    if (this.engine !== null) this.engine.dispatch({ type: "network", is_online: isOnline });
    else if (isOnline) this.request({ type: "wake" });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.turn += 1;
    const { engine } = this;
    this.stopLeading();
    // The next leader opens the store when the last write of this one is in it.
    void (engine?.close() ?? Promise.resolve()).then(() => {
      this.step({ type: "closed" });
      this.rivalry?.close();
    });
    for (const waiter of this.waiters.values()) {
      waiter.reject(new PylonError(wireError("UNAVAILABLE", "the database was closed")));
    }
    this.waiters.clear();
  }
}
