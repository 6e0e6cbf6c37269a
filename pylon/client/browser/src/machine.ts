// The machine: what to do about everything that happens to a replica. Pure: `step(event)` returns
// commands, and holds no socket, store, clock or chance but the random numbers handed in.
//
//   offline --connect--> connecting --welcome--> hydrating --all ready--> live
//   live, hydrating --resync--> resyncing --all ready--> live
//   any but closed --socket lost--> offline;  any --closed--> closed
//
// What does not live here: rows and subscriptions (`replica`), the overlay (`pending`), how the
// commands are carried out (`engine`).

import { goAwayMs, reconnectMs } from "./backoff.ts";
import { CatchUp, type Move } from "./catch-up.ts";
import { hasReached, parseCursor } from "./cursor.ts";
import { Delivery, type Outcome } from "./delivery.ts";
import { wireError } from "./errors.ts";
import type { Command, Event, MachineState, Status, Timer } from "./events.ts";
import { Pending, type PendingMutation } from "./pending.ts";
import {
  PROTOCOL_VERSION, type Downstream, type ErrorMessage,
  type Resync, type SubscriptionSpec, type Upstream, type Welcome, type WireError,
} from "./protocol.gen.ts";
import { Replica } from "./replica.ts";
import { Schema } from "./schema.ts";
import { specOf } from "./subscription.ts";
import { Values } from "./values.ts";

const WELCOME_MS = 10_000;
/** A connection that lasted so long makes the next trouble the first again. */
const HEALTHY_MS = 10_000;
const ACK_MS = 1_000;
const MISSED_MAX = 2;
/** Resyncs within one connection before starting over. */
const RESYNCS_MAX = 3;

export class Machine {
  readonly replica = new Replica();
  readonly values = new Values();
  readonly pending = new Pending();
  state: MachineState = "offline";
  private commands: Command[] = [];
  private clientId = "";
  /** Whose rows these are; undefined until somebody said so. */
  private principal: string | null | undefined;
  private schemaHash: string | null = null;
  private error: WireError | null = null;
  private status: Status = { state: "offline", pending: 0, error: null };
  private attempt = 0;
  private goAway: number | null = null;
  private isOpen = false;
  private isWelcome = false;
  private hasHistory = false;
  private target: string | null = null;
  private epoch: string | null = null;
  private heartbeatMs = 0;
  private wasHeard = false;
  private missed = 0;
  private resyncs = 0;
  private savedCursor: string | null = null;
  private acknowledged = "";
  private isAckPaused = false;
  private readonly delivery: Delivery;
  private readonly catchUp = new CatchUp(this.replica);

  constructor(private readonly random: () => number) {
    this.delivery = new Delivery(this.pending, random);
  }

  step(event: Event): readonly Command[] {
    this.commands = [];
    if (this.state !== "closed") {
      this.take(event);
      this.finish();
    }
    return this.commands;
  }

  private take(event: Event): void {
    switch (event.type) {
      case "started": return this.start(event);
      case "opened": return this.open();
      case "received": return this.receive(event.message);
      case "lost": return this.lose(event.code);
      case "refused": return this.refuse(event.error);
      case "fired": return this.fire(event.timer);
      case "network": return this.changeNetwork(event.is_online);
      case "subscribed": return this.subscribe(event);
      case "followed": return this.say(this.values.follow(event.id, { fn: event.fn, args: event.args }));
      case "unsubscribed": return this.unsubscribe(event.id);
      case "mutated": return this.mutate(event.mutation);
      case "discarded": return this.settle(this.delivery.discarded(event.op_id));
      case "pulled": return this.move(this.catchUp.pulled(event.id, event.batch));
      case "pull_failed": return this.pullFailed(event.id, event.error);
      case "pending_loaded": return this.takePending(event.principal, event.pending);
      case "saved": this.savedCursor = event.cursor; return this.acknowledge();
      case "manifest":
        this.schemaHash = event.manifest.hash;
        return this.replica.useSchema(new Schema(event.manifest));
      case "identity": return this.changeIdentity();
      case "closed": return this.close(null);
      default: event satisfies never;
    }
  }

  // --- connecting

  private start(event: Event & { type: "started" }): void {
    this.clientId = event.client_id;
    this.principal = event.principal;
    if (event.manifest !== undefined) {
      this.schemaHash = event.manifest.hash;
      this.replica.useSchema(new Schema(event.manifest));
    }
    if (event.stored !== undefined) {
      this.replica.load(event.stored);
      this.epoch = parseCursor(event.stored.cursor ?? "")?.epoch ?? null;
    }
    for (const mutation of event.pending ?? []) this.pending.add(mutation);
    this.connect();
  }

  private connect(): void {
    this.state = "connecting";
    this.commands.push({ type: "connect" });
    this.setTimer("welcome", WELCOME_MS);
  }

  private open(): void {
    this.isOpen = true;
    const { cursor } = this.replica;
    this.hasHistory = cursor !== null;
    const subscriptions = [...this.specs(), ...this.values.specs()];
    this.send({
      type: "hello", protocol: PROTOCOL_VERSION, client_id: this.clientId,
      ...(cursor === null ? {} : { cursor }),
      ...(this.schemaHash === null ? {} : { schema: this.schemaHash }),
      ...(subscriptions.length === 0 ? {} : { subscriptions }),
    });
  }

  /** Returns the subscriptions to rows, which a pull gives too. */
  private specs(): readonly SubscriptionSpec[] {
    const hasCursor = this.replica.cursor !== null;
    return [...this.replica.subscriptions.values()].map((one) => specOf(one, hasCursor));
  }

  private welcome(message: Welcome): void {
    const { user_id: principal } = message;
    this.commands.push({ type: "caller", caller: { user_id: principal, roles: message.roles } });
    if (this.principal !== principal) {
      const isOther = this.principal !== undefined;
      this.adopt(principal);
      // What this hello said was of somebody else's replica: say it again, empty-handed.
      if (isOther && this.hasHistory) {
        this.drop("identity changed");
        return this.connect();
      }
    }
    this.replica.reveal();
    this.isWelcome = true;
    this.clearTimer("welcome");
    this.setTimer("healthy", HEALTHY_MS);
    this.heartbeatMs = Math.max(1_000, message.heartbeat_s * 1_000);
    this.wasHeard = true;
    this.missed = 0;
    this.setTimer("heartbeat", this.heartbeatMs);
    if (this.replica.cursor === null) {
      this.enterLineage(message.head);
      this.replica.startAt(message.head);
    }
    this.target = message.head;
    this.state = this.replica.isStale ? "resyncing" : "hydrating";
    if (message.schema !== this.schemaHash) this.commands.push({ type: "fetch_manifest" });
  }

  /** Makes the replica this principal's: nothing of another is left in it. */
  private adopt(principal: string | null): void {
    if (this.principal !== undefined) this.forget();
    this.principal = principal;
    this.commands.push({ type: "wipe", principal });
    for (const mutation of this.pending.bind(principal)) this.commands.push({ type: "save_pending", mutation });
    this.commands.push({ type: "load_pending", principal });
    this.pending.expectStored();
  }

  /** Drops the rows of whoever it was, at once; his mutations stay his, in the store (I33). */
  private forget(): void {
    this.replica.reset(null, false);
    this.values.reset();
    const error = wireError("UNAUTHENTICATED", "the caller changed before this was decided; it is kept for its author");
    for (const { op_id } of this.pending.all()) this.commands.push({ type: "settle", settlement: { op_id, error } });
    this.pending.clear();
    this.delivery.interrupt();
    this.principal = undefined;
  }

  private lose(code: number | undefined): void {
    if (this.state === "offline" && !this.isOpen) return;
    this.drop(null);
    if (code === 4001) this.error = wireError("UNAUTHENTICATED", "the session ended");
    // The server could not read what we hold: hold nothing rather than say it for ever.
    if (code === 4400 && this.hasHistory) this.replica.reset(null, true);
    // Without a network, or with nobody there, what is stored is all there is to show.
    if (this.principal !== undefined) this.replica.reveal();
    this.retry();
  }

  private retry(): void {
    this.state = "offline";
    this.attempt += 1;
    const ms = this.goAway === null
      ? reconnectMs(this.attempt, this.random()) : goAwayMs(this.goAway, this.random());
    this.goAway = null;
    this.setTimer("reconnect", ms);
  }

  /** Leaves the connection: nothing of it counts any more. */
  private drop(reason: string | null): void {
    if (reason !== null) this.commands.push({ type: "disconnect", code: 1000, reason });
    for (const timer of ["welcome", "heartbeat", "healthy", "reconnect", "push"] as const) this.clearTimer(timer);
    this.isOpen = this.isWelcome = false;
    this.delivery.interrupt();
    this.catchUp.reset();
    this.resyncs = 0;
    this.acknowledged = "";
    this.replica.interrupt();
  }

  private restart(reason: string): void {
    this.drop(reason);
    this.retry();
  }

  private refuse(error: WireError): void {
    this.drop(null);
    this.error = error;
    this.forget();
    this.commands.push({ type: "wipe", principal: null }, { type: "forget_session" });
    this.retry();
  }

  private changeIdentity(): void {
    this.forget();
    this.commands.push({ type: "wipe", principal: null });
    this.error = null;
    this.drop("identity changed");
    this.connect();
  }

  /** The network's own events are hints: a server on this very machine needs no network. */
  private changeNetwork(isOnline: boolean): void {
    if (!isOnline && this.isOpen) this.restart("offline");
    if (isOnline && this.state === "offline") {
      this.clearTimer("reconnect");
      this.connect();
    }
  }

  private close(error: WireError | null): void {
    this.drop(error?.message ?? "closed");
    this.error = error;
    this.state = "closed";
  }

  private fire(timer: Timer): void {
    switch (timer) {
      case "welcome": return this.restart("no welcome");
      case "reconnect": return this.state === "offline" ? this.connect() : undefined;
      case "heartbeat": return this.beat();
      case "healthy": this.attempt = this.resyncs = 0; return;
      case "push": return this.delivery.resume();
      case "ack": this.isAckPaused = false; return this.acknowledge();
      default: timer satisfies never;
    }
  }

  private beat(): void {
    if (!this.isWelcome) return;
    this.missed = this.wasHeard ? 0 : this.missed + 1;
    this.wasHeard = false;
    if (this.missed >= MISSED_MAX) return this.restart("no heartbeat");
    if (this.missed > 0) this.send({ type: "ping" });
    this.setTimer("heartbeat", this.heartbeatMs);
  }

  // --- what the server says

  private receive(message: Downstream): void {
    if (!this.isOpen) return;
    this.wasHeard = true;
    if (!this.isWelcome && message.type !== "welcome" && message.type !== "error" && message.type !== "goaway") return;
    switch (message.type) {
      case "welcome": return this.welcome(message);
      case "snapshot": return this.replica.page(message);
      case "changes": return this.move(this.catchUp.follow(message));
      case "window": return this.replica.window(message);
      case "value": return this.values.take(message);
      case "results":
        if (this.delivery.isAwaiting(message.request_id)) this.settle(this.delivery.answered(message));
        return;
      case "resync": return this.resync(message);
      case "schema":
        if (message.schema !== this.schemaHash) this.commands.push({ type: "fetch_manifest" });
        return;
      case "goaway":
        this.goAway = Number.isFinite(message.retry_ms) ? message.retry_ms : 0;
        return;
      case "error": return this.takeError(message);
      default: return;  // part, returned, unsubscribed, pong: nothing was asked for or is left
    }
  }

  private move(move: Move): void {
    if (move === "restart") return this.restart("gap");
    if (move !== null) this.commands.push({ type: "pull", ...move, subscriptions: this.specs() });
  }

  private pullFailed(id: number, error: WireError): void {
    if (!this.catchUp.isAwaiting(id)) return;
    this.error = error;
    if (error.code === "RESYNC_REQUIRED") this.replica.reset(null, true);
    this.restart("pull failed");
  }

  private resync(message: Resync): void {
    this.resyncs += 1;
    const { reason, head } = message;
    this.catchUp.reset();
    // Old rows may stay in sight only while they are the same caller's and of the same form (rule 12).
    const isKept = reason !== "identity_changed" && reason !== "schema_changed";
    this.replica.reset(head, isKept);
    if (!isKept) this.values.reset();
    this.enterLineage(head);
    this.target = head;
    this.state = "resyncing";
    if (this.resyncs > RESYNCS_MAX) this.restart("too many resyncs");
  }

  /** What another lineage of the log had confirmed waits for a number that never comes: it ends here. */
  private enterLineage(head: string): void {
    const epoch = parseCursor(head)?.epoch ?? null;
    if (this.epoch !== null && this.epoch !== epoch) this.dropPending(this.pending.settleAll());
    this.epoch = epoch;
  }

  private takeError(message: ErrorMessage): void {
    const { error, subscription, request_id: request } = message;
    if (error.code === "UPGRADE_REQUIRED") return this.close(error);
    if (subscription !== undefined && this.values.has(subscription)) return this.values.fail(subscription, error);
    if (subscription !== undefined) return this.replica.fail(subscription, error);
    if (request !== undefined && this.delivery.isAwaiting(request)) return this.settle(this.delivery.refused(error));
    this.error = error;
  }

  // --- subscriptions

  private subscribe(event: Event & { type: "subscribed" }): void {
    this.replica.subscribe(event.id, event.definition);
    const added = this.replica.subscriptions.get(event.id);
    if (added !== undefined) this.say(specOf(added, false));
  }

  private say(spec: SubscriptionSpec): void {
    if (this.isOpen) this.send({ type: "subscribe", ...spec });
  }

  private unsubscribe(id: string): void {
    if (this.values.has(id)) {
      this.values.leave(id);
      // One that failed may yet heal, so the server has it.
      if (this.isOpen) this.send({ type: "unsubscribe", id });
      return;
    }
    if (!this.replica.subscriptions.has(id)) return;
    const isKnown = this.replica.subscriptions.get(id)?.phase !== "failed";
    this.replica.unsubscribe(id);
    if (this.isOpen && isKnown) this.send({ type: "unsubscribe", id });
  }

  // --- mutations

  private mutate(mutation: PendingMutation): void {
    const { principal } = this;
    const bound = principal === undefined ? mutation : { ...mutation, principal };
    if (!this.pending.add(bound)) return;
    if (principal !== undefined) this.commands.push({ type: "save_pending", mutation: bound });
  }

  private takePending(principal: string | null, pending: readonly PendingMutation[]): void {
    if (principal === this.principal) this.pending.takeStored(pending);
  }

  private settle(outcome: Outcome): void {
    for (const settlement of outcome.settlements) {
      this.commands.push({ type: "settle", settlement });
      if (settlement.error !== undefined) this.dropPending([settlement]);
    }
    if (outcome.pauseMs !== null) this.setTimer("push", outcome.pauseMs);
  }

  private dropPending(gone: readonly { readonly op_id: string }[]): void {
    for (const { op_id } of gone) this.commands.push({ type: "drop_pending", op_id });
  }

  private acknowledge(): void {
    if (!this.isWelcome || this.isAckPaused || this.savedCursor === null) return;
    const pending = this.pending.count;
    const acknowledged = `${this.savedCursor} ${pending}`;
    if (acknowledged === this.acknowledged) return;
    this.acknowledged = acknowledged;
    this.send({ type: "stored", cursor: this.savedCursor, pending });
    this.isAckPaused = true;
    this.setTimer("ack", ACK_MS);
  }

  // --- after each event

  /** Draws what follows from the new state: views, stores, status and the next push. */
  private finish(): void {
    this.replica.release();
    const shown = this.replica.shownCursor;
    if (shown !== null) {
      const settled = this.pending.settle(parseCursor(shown)?.seq ?? 0);
      for (const mutation of settled) this.replica.confirm(mutation);
      this.dropPending(settled);
    }
    const isCaughtUp = shown !== null && this.isWelcome && hasReached(shown, this.target);
    if (isCaughtUp && !this.replica.isHydrating && (this.state === "hydrating" || this.state === "resyncing")) {
      this.state = "live";
      this.error = null;
    }
    const save = this.replica.takeSave();
    if (save !== null) this.commands.push({ type: "save", save });
    this.publish();
    const { state, error } = this;
    const pending = this.pending.count;
    if (state !== this.status.state || pending !== this.status.pending || error !== this.status.error) {
      this.status = { state, pending, error };
      this.commands.push({ type: "status", status: this.status });
    }
    const push = this.isWelcome && this.goAway === null ? this.delivery.next(this.clientId) : null;
    if (push !== null) this.send(push);
  }

  private publish(): void {
    const touched = new Map<string, Set<string>>();
    for (const source of [this.replica.takeTouched(), this.pending.takeTouched()]) {
      for (const [entity, ids] of source) {
        const known = touched.get(entity) ?? new Set<string>();
        for (const id of ids) known.add(id);
        touched.set(entity, known);
      }
    }
    const isStateChanged = this.replica.takeStateChange();
    const isValueChanged = this.values.takeChange();
    if (touched.size === 0 && !isStateChanged && !isValueChanged) return;
    this.commands.push({ type: "publish", changes: [...touched].map(([entity, ids]) => [entity, [...ids]] as const) });
  }

  private send(message: Upstream): void {
    this.commands.push({ type: "send", message });
  }

  private setTimer(timer: Timer, ms: number): void {
    this.commands.push({ type: "set_timer", timer, ms });
  }

  private clearTimer(timer: Timer): void {
    this.commands.push({ type: "clear_timer", timer });
  }
}
