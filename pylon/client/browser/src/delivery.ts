// Delivery of mutations: in order, one push in flight, the same operation ids at each try. Pure.

import { retryMs } from "./backoff.ts";
import { parseCursor } from "./cursor.ts";
import { isTransient, wireError } from "./errors.ts";
import type { Pending, PendingMutation, Settlement } from "./pending.ts";
import type { Push, Results, WireError } from "./protocol.gen.ts";

const PUSH_COUNT_MAX = 100;
const PUSH_SIZE_MAX = 256 * 1024;

/** What follows from an answer: who is told, and how long to wait before the next push. */
export interface Outcome {
  readonly settlements: readonly Settlement[];
  readonly pauseMs: number | null;
}

export class Delivery {
  private requests = 0;
  private inFlight: { readonly id: string; readonly operations: readonly PendingMutation[] } | null = null;
  private attempt = 0;
  private isPaused = false;
  private countMax = PUSH_COUNT_MAX;

  constructor(
    private readonly pending: Pending,
    private readonly random: () => number,
  ) {}

  /** Returns the next push, or null while one is in flight, a pause lasts or nothing waits. */
  next(clientId: string): Push | null {
    if (this.inFlight !== null || this.isPaused) return null;
    const operations = this.pending.unsent(this.countMax, PUSH_SIZE_MAX);
    if (operations.length === 0) return null;
    this.requests += 1;
    this.inFlight = { id: `p${this.requests}`, operations };
    return {
      type: "push",
      request_id: this.inFlight.id,
      client_id: clientId,
      operations: operations.map(({ op_id, fn, args }) => ({ op_id, fn, args })),
    };
  }

  /** The connection is gone: what was in flight will be sent again under the same ids. */
  interrupt(): void {
    this.inFlight = null;
    this.isPaused = false;
  }

  resume(): void {
    this.isPaused = false;
  }

  isAwaiting(request: string): boolean {
    return this.inFlight?.id === request;
  }

  answered(message: Results): Outcome {
    this.inFlight = null;
    this.countMax = PUSH_COUNT_MAX;
    const head = parseCursor(message.head)?.seq ?? 0;
    const settlements: Settlement[] = [];
    for (const result of message.results) {
      const settlement = this.pending.decide(result, head);
      if (settlement !== null) settlements.push(settlement);
    }
    const isRetry = settlements.length === 0 || message.results.some((result) => result.status === "retry");
    return { settlements, pauseMs: isRetry ? this.pause() : this.proceed() };
  }

  /** A push was refused as a whole: send one by one to find out which operation it was. */
  refused(error: WireError): Outcome {
    const operations = this.inFlight?.operations ?? [];
    this.inFlight = null;
    if (isTransient(error.code)) return { settlements: [], pauseMs: this.pause() };
    if (operations.length > 1) {
      this.countMax = 1;
      return { settlements: [], pauseMs: null };
    }
    for (const { op_id } of operations) this.pending.reject(op_id);
    return { settlements: operations.map(({ op_id }) => ({ op_id, error })), pauseMs: null };
  }

  /** Gives up one that is not decided; what the server has taken comes as a change. */
  discarded(id: string): Outcome {
    const error = wireError("ABORTED", "the mutation was discarded before it was confirmed");
    return { settlements: this.pending.discard(id) ? [{ op_id: id, error }] : [], pauseMs: null };
  }

  private pause(): number {
    this.attempt += 1;
    this.isPaused = true;
    return retryMs(this.attempt, this.random());
  }

  private proceed(): null {
    this.attempt = 0;
    return null;
  }
}
