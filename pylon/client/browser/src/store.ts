// Where a replica is kept between visits: the interface, and the order of writes.

import type { PendingMutation } from "./pending.ts";
import type { Manifest } from "./protocol.gen.ts";
import type { Save, StoredReplica } from "./replica.ts";

/** What a store held when it was opened. */
export interface StoreContents {
  readonly clientId: string | null;
  /** Whose rows these are; undefined where nothing was stored. */
  readonly principal: string | null | undefined;
  readonly replica: StoredReplica | undefined;
  readonly manifest: Manifest | undefined;
}

export interface Store {
  readonly isPersistent: boolean;
  load(): Promise<StoreContents>;
  saveClientId(id: string): Promise<void>;
  saveManifest(manifest: Manifest): Promise<void>;
  /** Writes rows, states and cursor in one transaction (I24). */
  save(save: Save): Promise<void>;
  /** Removes rows, states and cursor, and says whose the next ones are, in one transaction (I33). */
  wipe(principal: string | null): Promise<void>;
  pendingOf(principal: string | null): Promise<readonly PendingMutation[]>;
  savePending(mutation: PendingMutation): Promise<void>;
  dropPending(id: string): Promise<void>;
  close(): void;
}

/** Joins two saves that follow each other into one that does the same. */
export function joinSaves(first: Save, second: Save): Save {
  if (second.reset) return second;
  const key = (entity: string, id: string): string => `${entity.length}:${entity}${id}`;
  const puts = new Map(first.puts.map((put) => [key(put[0], put[1].id), put] as const));
  const deletes = new Map(first.deletes.map((gone) => [key(gone[0], gone[1]), gone] as const));
  for (const gone of second.deletes) {
    puts.delete(key(gone[0], gone[1]));
    deletes.set(key(gone[0], gone[1]), gone);
  }
  for (const put of second.puts) {
    deletes.delete(key(put[0], put[1].id));
    puts.set(key(put[0], put[1].id), put);
  }
  return {
    reset: first.reset,
    cursor: second.cursor,
    puts: [...puts.values()],
    deletes: [...deletes.values()],
    subscriptions: second.subscriptions,
  };
}

/** Writes saves and wipes one after another; what comes while one is written is joined. */
export class SaveQueue {
  private waiting: Save | null = null;
  private wiping: { readonly principal: string | null } | null = null;
  private isWriting = false;

  constructor(
    private store: Store,
    private readonly onSaved: (cursor: string | null) => void,
    private readonly onFailed: (error: unknown) => void,
  ) {}

  replaceStore(store: Store): void {
    this.store = store;
  }

  add(save: Save): void {
    this.waiting = this.waiting === null ? save : joinSaves(this.waiting, save);
    void this.write();
  }

  wipe(principal: string | null): void {
    this.waiting = null;
    this.wiping = { principal };
    void this.write();
  }

  private async write(): Promise<void> {
    if (this.isWriting) return;
    this.isWriting = true;
    try {
      while (this.waiting !== null || this.wiping !== null) {
        const wiping = this.wiping;
        this.wiping = null;
        if (wiping !== null) await this.store.wipe(wiping.principal);
        const save = this.waiting;
        this.waiting = null;
        if (save === null) continue;
        await this.store.save(save);
        this.onSaved(save.cursor);
      }
    } catch (error) {
      this.onFailed(error);
    } finally {
      this.isWriting = false;
    }
  }
}
