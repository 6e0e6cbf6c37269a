// Where a replica is kept between visits: the interface, and the order of writes.

import type { PendingMutation } from "./pending.ts";
import type { Manifest, WireError } from "./protocol.gen.ts";
import type { Save, StoredReplica } from "./replica.ts";

/** What a store held when it was opened. */
export interface StoreContents {
  readonly clientId: string | null;
  /** Whose rows these are; undefined where nothing was stored. */
  readonly principal: string | null | undefined;
  readonly replica: StoredReplica | undefined;
  readonly manifest: Manifest | undefined;
}

/** A mutation as it is stored; with `error` it was refused while nobody was there to be told. */
export interface StoredMutation extends PendingMutation {
  readonly error?: WireError;
}

/** What one transaction of a store writes, in this order. */
export interface StoreWrite {
  /** Removes rows, states and cursor, and says whose the next ones are (I33). */
  readonly wipe: { readonly principal: string | null } | null;
  /** Rows, states and cursor, never apart (I24). */
  readonly save: Save | null;
  readonly kept: readonly StoredMutation[];
  /** Operation ids: a confirmed one leaves together with the rows that show its effect (I28). */
  readonly dropped: readonly string[];
}

export interface Store {
  readonly isPersistent: boolean;
  load(): Promise<StoreContents>;
  saveClientId(id: string): Promise<void>;
  saveManifest(manifest: Manifest): Promise<void>;
  /** Writes all of it in one transaction, or nothing. */
  write(write: StoreWrite): Promise<void>;
  /** Returns what this principal has made, in the order made. */
  pendingOf(principal: string | null): Promise<readonly StoredMutation[]>;
  /** Says that the caller may be another soon: what is stored is then not shown at the next start. */
  doubt(isDoubted: boolean): Promise<void>;
  /** Calls when the store is taken away from outside. */
  onLost?(listener: (error: Error) => void): void;
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

/** Writes one transaction after another; what comes while one is written is joined in the next. */
export class WriteQueue {
  private wiping: { readonly principal: string | null } | null = null;
  private saving: Save | null = null;
  private kept = new Map<string, StoredMutation>();
  private dropped = new Set<string>();
  private waiters: (() => void)[] = [];
  private isWriting = false;

  constructor(
    private store: Store,
    private readonly onWritten: (write: StoreWrite) => void,
    private readonly onFailed: (error: unknown) => void,
  ) {}

  /** Goes on with another store; what waits is written there. */
  replaceStore(store: Store): void {
    this.store = store;
  }

  save(save: Save): void {
    this.saving = this.saving === null ? save : joinSaves(this.saving, save);
    this.start();
  }

  wipe(principal: string | null): void {
    this.saving = null;
    this.wiping = { principal };
    this.start();
  }

  keep(mutation: StoredMutation): void {
    this.dropped.delete(mutation.op_id);
    this.kept.set(mutation.op_id, mutation);
    this.start();
  }

  drop(id: string): void {
    this.kept.delete(id);
    this.dropped.add(id);
    this.start();
  }

  /** Resolves when everything said so far is written, or is lost with the store. */
  settled(): Promise<void> {
    if (!this.isWriting) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiters.push(resolve);
    });
  }

  /** The commands of one step follow each other at once: they make one transaction. */
  private start(): void {
    if (this.isWriting) return;
    this.isWriting = true;
    queueMicrotask(() => void this.run());
  }

  private take(): StoreWrite | null {
    const write = { wipe: this.wiping, save: this.saving, kept: [...this.kept.values()], dropped: [...this.dropped] };
    if (write.wipe === null && write.save === null && write.kept.length + write.dropped.length === 0) return null;
    this.wiping = this.saving = null;
    this.kept = new Map();
    this.dropped = new Set();
    return write;
  }

  private async run(): Promise<void> {
    for (let write = this.take(); write !== null; write = this.take()) {
      try {
        await this.store.write(write);
        this.onWritten(write);
      } catch (error) {
        this.onFailed(error);
      }
    }
    this.isWriting = false;
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}
