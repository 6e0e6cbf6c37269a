// What the engine asks for by HTTP: batches that the stream did not bring, and the app's description.
// Holds no rule of sync; what is asked too often for a server in trouble waits (`budget`).

import type { Budget } from "./budget.ts";
import { isBatch } from "./codec.ts";
import type { Connection } from "./connection.ts";
import { PylonError, wireError } from "./errors.ts";
import type { Event } from "./events.ts";
import { PULL_LIMIT_MAX, type ChangeBatch, type Manifest, type SubscriptionSpec } from "./protocol.gen.ts";

/** A pull's address longer than this is cut: without subscriptions it brings more, never less. */
const PULL_URL_MAX = 6_000;

export interface FetchingListener {
  happened(event: Event): void;
  known(manifest: Manifest): void;
}

export class Fetching {
  private waiters: (() => void)[] = [];
  private isFetching = false;

  constructor(
    private readonly connection: Connection,
    private readonly budget: Budget,
    private readonly listener: FetchingListener,
  ) {}

  async pull(id: number, cursor: string, subscriptions: readonly SubscriptionSpec[]): Promise<void> {
    const query = `/api/sync/pull?limit=${PULL_LIMIT_MAX}&cursor=${encodeURIComponent(cursor)}`;
    const specs = encodeURIComponent(JSON.stringify(subscriptions));
    const path = specs.length > PULL_URL_MAX ? query : `${query}&subscriptions=${specs}`;
    try {
      const batch = await this.connection.request("GET", path);
      if (!isBatch(batch)) {
        const error = wireError("UNAVAILABLE", "the answer is no batch");
        return this.listener.happened({ type: "pull_failed", id, error });
      }
      // A long way to catch up is no trouble.
      if ((batch as ChangeBatch).more) this.budget.refund();
      this.listener.happened({ type: "pulled", id, batch: batch as ChangeBatch });
    } catch (error) {
      if (!(error instanceof PylonError)) throw error;
      this.listener.happened({ type: "pull_failed", id, error: wireError(error.code, error.message) });
    }
  }

  /** Asks for the app's description. */
  async manifest(): Promise<void> {
    if (this.isFetching) return;
    this.isFetching = true;
    try {
      const manifest = await this.connection.request("GET", "/api/schema") as Manifest | null;
      if (Array.isArray(manifest?.entities) && typeof manifest.hash === "string") this.listener.known(manifest);
    } catch (error) {
      // The next welcome names the manifest again.
      if (!(error instanceof PylonError)) throw error;
    } finally {
      this.isFetching = false;
      for (const waiter of this.waiters.splice(0)) waiter();
    }
  }

  /** Resolves when the description is there, cannot be had now, or the time is up. */
  async within(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
      void this.manifest();
    });
  }
}
