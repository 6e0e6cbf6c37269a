// A store that lasts as long as the page: for tests, and where IndexedDB is not to be had (I35).

import type { PendingMutation } from "./pending.ts";
import type { Manifest, WireRow } from "./protocol.gen.ts";
import type { Save } from "./replica.ts";
import type { Store, StoreContents } from "./store.ts";
import type { Subscription } from "./subscription.ts";

export class MemoryStore implements Store {
  readonly isPersistent = false;
  private clientId: string | null = null;
  private principal: string | null | undefined;
  private manifest: Manifest | undefined;
  private cursor: string | null = null;
  private subscriptions: readonly Subscription[] = [];
  private readonly rows = new Map<string, Map<string, WireRow>>();
  private readonly pending = new Map<string, PendingMutation>();

  async load(): Promise<StoreContents> {
    const rows = [...this.rows].flatMap(([entity, found]) => [...found.values()].map((row) => [entity, row] as const));
    const { clientId, principal, manifest, cursor, subscriptions } = this;
    const replica = principal === undefined ? undefined : { cursor, rows, subscriptions };
    return { clientId, principal, manifest, replica };
  }

  async saveClientId(id: string): Promise<void> {
    this.clientId = id;
  }

  async saveManifest(manifest: Manifest): Promise<void> {
    this.manifest = manifest;
  }

  async save(save: Save): Promise<void> {
    if (save.reset) this.rows.clear();
    for (const [entity, id] of save.deletes) this.rows.get(entity)?.delete(id);
    for (const [entity, row] of save.puts) {
      const rows = this.rows.get(entity) ?? new Map<string, WireRow>();
      this.rows.set(entity, rows.set(row.id, row));
    }
    this.cursor = save.cursor;
    this.subscriptions = save.subscriptions;
  }

  async wipe(principal: string | null): Promise<void> {
    this.rows.clear();
    this.cursor = null;
    this.subscriptions = [];
    this.principal = principal;
  }

  async pendingOf(principal: string | null): Promise<readonly PendingMutation[]> {
    return [...this.pending.values()].filter((one) => one.principal === principal);
  }

  async savePending(mutation: PendingMutation): Promise<void> {
    this.pending.set(mutation.op_id, mutation);
  }

  async dropPending(id: string): Promise<void> {
    this.pending.delete(id);
  }

  close(): void {
    // Nothing is held open.
  }
}
