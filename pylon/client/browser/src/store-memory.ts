// A store that lasts as long as the page: for tests, and where IndexedDB is not to be had (I35).

import type { Manifest, WireRow } from "./protocol.gen.ts";
import type { Store, StoreContents, StoredMutation, StoreWrite } from "./store.ts";
import type { Subscription } from "./subscription.ts";

export class MemoryStore implements Store {
  readonly isPersistent: boolean = false;
  private clientId: string | null = null;
  private principal: string | null | undefined;
  private manifest: Manifest | undefined;
  private cursor: string | null = null;
  private subscriptions: readonly Subscription[] = [];
  private readonly rows = new Map<string, Map<string, WireRow>>();
  private readonly pending = new Map<string, StoredMutation>();

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

  async write({ wipe, save, kept, dropped }: StoreWrite): Promise<void> {
    if (wipe !== null) {
      this.rows.clear();
      this.cursor = null;
      this.subscriptions = [];
      this.principal = wipe.principal;
    }
    if (save !== null) {
      if (save.reset) this.rows.clear();
      for (const [entity, id] of save.deletes) this.rows.get(entity)?.delete(id);
      for (const [entity, row] of save.puts) {
        const rows = this.rows.get(entity) ?? new Map<string, WireRow>();
        this.rows.set(entity, rows.set(row.id, row));
      }
      this.cursor = save.cursor;
      this.subscriptions = save.subscriptions;
    }
    for (const mutation of kept) this.pending.set(mutation.op_id, mutation);
    for (const id of dropped) this.pending.delete(id);
  }

  async pendingOf(principal: string | null): Promise<readonly StoredMutation[]> {
    return [...this.pending.values()].filter((one) => one.principal === principal);
  }

  async doubt(): Promise<void> {
    // Nothing outlives the page.
  }

  close(): void {
    // Nothing is held open.
  }
}
