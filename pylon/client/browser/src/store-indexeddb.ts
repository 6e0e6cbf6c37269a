// The store of a browser profile. Rows, cursor and subscription states are written in ONE
// transaction, so that the cursor is never ahead of the rows (I24).
//
// Several pages may open one database; the last that opened it owns the replica in it. Each write
// checks that in its own transaction: a page that lost it gets `StoreLost` and goes on from memory.
// Pending mutations belong to their author, not to the owner: any page adds and removes its own.

import { compareText } from "./compare.ts";
import type { PendingMutation } from "./pending.ts";
import type { Manifest, WireRow } from "./protocol.gen.ts";
import type { Save } from "./replica.ts";
import type { Store, StoreContents } from "./store.ts";
import type { Subscription } from "./subscription.ts";

const VERSION = 1;

/** Another page took the store over, or the browser took it away. */
export class StoreLost extends Error {
  override readonly name = "StoreLost";
}

interface Head {
  readonly key: "head";
  readonly principal: string | null | undefined;
  readonly cursor: string | null;
  readonly subscriptions: readonly Subscription[];
}

interface StoredRow {
  readonly entity: string;
  readonly id: string;
  readonly row: WireRow;
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });
}

function completion(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    const fail = (): void => reject(transaction.error ?? new StoreLost("the transaction was aborted"));
    transaction.onabort = fail;
    transaction.onerror = fail;
  });
}

export class IndexedDbStore implements Store {
  readonly isPersistent = true;

  private constructor(
    private readonly database: IDBDatabase,
    private readonly owner: string,
  ) {}

  /** Opens the database and takes the replica in it over. `owner` is a name that nobody else has. */
  static async open(factory: IDBFactory, name: string, owner: string): Promise<IndexedDbStore> {
    const request = factory.open(name, VERSION);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore("meta", { keyPath: "key" });
      database.createObjectStore("rows", { keyPath: ["entity", "id"] });
      database.createObjectStore("pending", { keyPath: "op_id" });
    };
    const blocked = new Promise<never>((_, reject) => {
      request.onblocked = () => reject(new StoreLost("an older page holds the database"));
    });
    const database = await Promise.race([answer(request), blocked]);
    const store = new IndexedDbStore(database, owner);
    // A deletion or a newer version is let through; writing then fails, and memory takes over.
    database.onversionchange = () => database.close();
    const transaction = database.transaction("meta", "readwrite");
    transaction.objectStore("meta").put({ key: "owner", owner });
    await completion(transaction);
    return store;
  }

  async load(): Promise<StoreContents> {
    const transaction = this.database.transaction(["meta", "rows"], "readonly");
    const meta = transaction.objectStore("meta");
    const [client, manifest, head, rows] = await Promise.all([
      answer<{ id: string } | undefined>(meta.get("client")),
      answer<{ manifest: Manifest } | undefined>(meta.get("manifest")),
      answer<Head | undefined>(meta.get("head")),
      answer<StoredRow[]>(transaction.objectStore("rows").getAll()),
    ]);
    return {
      clientId: client?.id ?? null,
      manifest: manifest?.manifest,
      principal: head?.principal,
      // Rows without their cursor (an eviction) are no replica: start from a snapshot (I35).
      replica: head === undefined || head.principal === undefined ? undefined : {
        cursor: head.cursor,
        subscriptions: head.subscriptions,
        rows: rows.map(({ entity, row }) => [entity, row] as const),
      },
    };
  }

  async saveClientId(id: string): Promise<void> {
    const transaction = this.database.transaction("meta", "readwrite");
    transaction.objectStore("meta").put({ key: "client", id });
    await completion(transaction);
  }

  async saveManifest(manifest: Manifest): Promise<void> {
    const transaction = this.database.transaction("meta", "readwrite");
    transaction.objectStore("meta").put({ key: "manifest", manifest });
    await completion(transaction);
  }

  async save(save: Save): Promise<void> {
    await this.writeReplica((meta, rows, head) => {
      if (save.reset) rows.clear();
      for (const [entity, id] of save.deletes) rows.delete([entity, id]);
      for (const [entity, row] of save.puts) rows.put({ entity, id: row.id, row } satisfies StoredRow);
      meta.put({
        key: "head", principal: head?.principal, cursor: save.cursor, subscriptions: save.subscriptions,
      } satisfies Head);
    });
  }

  async wipe(principal: string | null): Promise<void> {
    await this.writeReplica((meta, rows) => {
      rows.clear();
      meta.put({ key: "head", principal, cursor: null, subscriptions: [] } satisfies Head);
    });
  }

  private async writeReplica(
    write: (meta: IDBObjectStore, rows: IDBObjectStore, head: Head | undefined) => void,
  ): Promise<void> {
    const transaction = this.database.transaction(["meta", "rows"], "readwrite");
    const meta = transaction.objectStore("meta");
    const finished = completion(transaction);
    finished.catch(() => undefined);
    const [owner, head] = await Promise.all([
      answer<{ owner: string } | undefined>(meta.get("owner")),
      answer<Head | undefined>(meta.get("head")),
    ]);
    if (owner?.owner !== this.owner) {
      transaction.abort();
      throw new StoreLost("another page took the store over");
    }
    write(meta, transaction.objectStore("rows"), head);
    await finished;
  }

  async pendingOf(principal: string | null): Promise<readonly PendingMutation[]> {
    const transaction = this.database.transaction("pending", "readonly");
    const all = await answer<PendingMutation[]>(transaction.objectStore("pending").getAll());
    return all
      .filter((one) => one.principal === principal)
      .sort((left, right) => compareText(left.op_id, right.op_id));
  }

  async savePending(mutation: PendingMutation): Promise<void> {
    const transaction = this.database.transaction("pending", "readwrite", { durability: "strict" });
    transaction.objectStore("pending").put(mutation);
    await completion(transaction);
  }

  async dropPending(id: string): Promise<void> {
    const transaction = this.database.transaction("pending", "readwrite");
    transaction.objectStore("pending").delete(id);
    await completion(transaction);
  }

  close(): void {
    this.database.close();
  }
}
