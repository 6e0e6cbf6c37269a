// The store of a browser profile. Rows, cursor, subscription states and pending mutations of one
// step are written in ONE transaction, so that the cursor is never ahead of the rows (I24).
//
// One tab leads and writes (`leadership`). Should two believe that they do, the last that opened the
// database owns it: each write checks that in its own transaction, and the other gets `StoreLost`.

import { compareText } from "./compare.ts";
import type { Manifest, WireRow } from "./protocol.gen.ts";
import type { Save } from "./replica.ts";
import type { Store, StoreContents, StoredMutation, StoreWrite } from "./store.ts";
import type { Subscription } from "./subscription.ts";

const VERSION = 1;
/** A browser that does not open the database in so long will not (private windows of some do that). */
const OPEN_MS_MAX = 4_000;
/** Stands among the rows and is named by the head: rows that were taken away leave no cursor (I35). */
const SEAL = ["", ""];

/** Another page took the store over, or the browser took it away. */
export class StoreLost extends Error {
  override readonly name = "StoreLost";
}

interface Head {
  readonly key: "head";
  readonly principal: string | null | undefined;
  readonly cursor: string | null;
  readonly subscriptions: readonly Subscription[];
  readonly seal?: string;
  /** The caller was about to change: whose rows these are is not known any more. */
  readonly isDoubted?: boolean;
}

interface StoredRow {
  readonly entity: string;
  readonly id: string;
  readonly row: WireRow;
}

interface PendingRecord {
  readonly op_id: string;
  /** The place in the order of sending; ids alone follow the clocks of several pages. */
  readonly order?: number;
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
  private lost: ((error: Error) => void) | null = null;
  private last = 0;
  private readonly orders = new Map<string, number>();

  private constructor(
    private readonly database: IDBDatabase,
    private readonly owner: string,
  ) {
    // A deletion or a newer version is let through; memory takes over.
    database.onversionchange = () => {
      database.close();
      this.lost?.(new StoreLost("another page changes the database"));
    };
    database.onclose = () => this.lost?.(new StoreLost("the browser took the database away"));
  }

  /** Opens the database and takes the replica in it over. `owner` is a name that nobody else has. */
  static async open(factory: IDBFactory, name: string, owner: string): Promise<IndexedDbStore> {
    const request = factory.open(name, VERSION);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore("meta", { keyPath: "key" });
      database.createObjectStore("rows", { keyPath: ["entity", "id"] });
      database.createObjectStore("pending", { keyPath: "op_id" });
    };
    const refusal = new Promise<never>((_, reject) => {
      request.onblocked = () => reject(new StoreLost("an older page holds the database"));
      setTimeout(() => reject(new StoreLost("the database does not open")), OPEN_MS_MAX);
    });
    const database = await Promise.race([answer(request), refusal]);
    const store = new IndexedDbStore(database, owner);
    const transaction = database.transaction("meta", "readwrite");
    transaction.objectStore("meta").put({ key: "owner", owner });
    await completion(transaction);
    return store;
  }

  onLost(listener: (error: Error) => void): void {
    this.lost = listener;
  }

  async load(): Promise<StoreContents> {
    const transaction = this.database.transaction(["meta", "rows"], "readonly");
    const meta = transaction.objectStore("meta");
    const [client, manifest, head, rows] = await Promise.all([
      answer<{ id: string } | undefined>(meta.get("client")),
      answer<{ manifest: Manifest } | undefined>(meta.get("manifest")),
      answer<Head | undefined>(meta.get("head")),
      answer<(StoredRow & { seal?: string })[]>(transaction.objectStore("rows").getAll()),
    ]);
    const seal = rows.find((one) => one.entity === SEAL[0])?.seal;
    // Rows without their cursor, a cursor without its rows, and rows that may be another's are no
    // replica: what follows is a snapshot.
    const isWhole = head !== undefined && head.principal !== undefined && head.isDoubted !== true
      && (seal === head.seal || head.cursor === null);
    return {
      clientId: client?.id ?? null,
      manifest: manifest?.manifest,
      principal: head?.principal,
      replica: !isWhole ? undefined : {
        cursor: head.cursor,
        subscriptions: head.subscriptions,
        rows: rows.filter(({ entity }) => entity !== SEAL[0]).map(({ entity, row }) => [entity, row] as const),
      },
    };
  }

  async saveClientId(id: string): Promise<void> {
    await this.putMeta({ key: "client", id });
  }

  async saveManifest(manifest: Manifest): Promise<void> {
    await this.putMeta({ key: "manifest", manifest });
  }

  private async putMeta(record: object): Promise<void> {
    const transaction = this.database.transaction("meta", "readwrite");
    transaction.objectStore("meta").put(record);
    await completion(transaction);
  }

  async write({ wipe, save, kept, dropped }: StoreWrite): Promise<void> {
    // What somebody wrote here and nowhere else is worth waiting for the disk; the rest comes again.
    const durability = kept.length > 0 ? "strict" : "default";
    await this.transact(["meta", "rows", "pending"], durability, (transaction, found) => {
      const [meta, rows] = [transaction.objectStore("meta"), transaction.objectStore("rows")];
      let head = found;
      if (wipe !== null) {
        rows.clear();
        head = { key: "head", principal: wipe.principal, cursor: null, subscriptions: [] };
      }
      if (save !== null) {
        head = writeSave(rows, head, save);
      }
      if (head !== undefined && (wipe !== null || save !== null)) meta.put(head);
      const pending = transaction.objectStore("pending");
      for (const mutation of kept) pending.put({ ...mutation, order: this.orderOf(mutation.op_id) });
      for (const id of dropped) {
        pending.delete(id);
        this.orders.delete(id);
      }
    });
  }

  async doubt(isDoubted: boolean): Promise<void> {
    await this.transact(["meta"], "strict", (transaction, head) => {
      if (head !== undefined) transaction.objectStore("meta").put({ ...head, isDoubted });
    });
  }

  private async transact(
    names: string[], durability: IDBTransactionDurability,
    work: (transaction: IDBTransaction, head: Head | undefined) => void,
  ): Promise<void> {
    const transaction = this.database.transaction(names, "readwrite", { durability });
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
    work(transaction, head);
    await finished;
  }

  private orderOf(id: string): number {
    const known = this.orders.get(id);
    if (known !== undefined) return known;
    this.orders.set(id, ++this.last);
    return this.last;
  }

  async pendingOf(principal: string | null): Promise<readonly StoredMutation[]> {
    const transaction = this.database.transaction("pending", "readonly");
    const all = await answer<(StoredMutation & PendingRecord)[]>(transaction.objectStore("pending").getAll());
    for (const { op_id, order = 0 } of all) {
      this.orders.set(op_id, order);
      this.last = Math.max(this.last, order);
    }
    return all
      .filter((one) => one.principal === principal)
      .sort((left, right) => (left.order ?? 0) - (right.order ?? 0) || compareText(left.op_id, right.op_id))
      .map(({ order: _, ...mutation }) => mutation);
  }

  close(): void {
    this.lost = null;
    this.database.close();
  }
}

/** Writes rows and their seal; returns the head that goes with them. */
function writeSave(rows: IDBObjectStore, before: Head | undefined, save: Save): Head {
  if (save.reset) rows.clear();
  for (const [entity, id] of save.deletes) rows.delete([entity, id]);
  for (const [entity, row] of save.puts) rows.put({ entity, id: row.id, row } satisfies StoredRow);
  let seal = save.reset ? undefined : before?.seal;
  if (seal === undefined) {
    seal = `${save.cursor}/${save.puts.length}`;
    rows.put({ entity: SEAL[0], id: SEAL[1], seal });
  }
  return {
    key: "head", principal: before?.principal, cursor: save.cursor, subscriptions: save.subscriptions, seal,
    ...(before?.isDoubted === true ? { isDoubted: true } : {}),
  };
}
