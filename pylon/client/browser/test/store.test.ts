// Goal: whichever transaction is the last that is carried out, the stored rows are those at the stored cursor.

import { IDBFactory } from "fake-indexeddb";
import { describe, expect, test } from "vitest";
import type { Save } from "../src/replica.ts";
import { IndexedDbStore } from "../src/store-indexeddb.ts";

const row = (id: string, seq: number, text: string) => ({ id, _seq: seq, text });
const save = (cursor: string, puts: Save["puts"], deletes: Save["deletes"] = [], reset = false): Save =>
  ({ reset, cursor, puts, deletes, subscriptions: [] });

/** What is stored, by steps; each is the whole state at its cursor. */
const STEPS: readonly { readonly save: Save; readonly rows: readonly string[] }[] = [
  { save: save("e:1", [["Note", row("a", 1, "one")]], [], true), rows: ["a:1"] },
  { save: save("e:3", [["Note", row("a", 2, "two")], ["Note", row("b", 3, "b")]]), rows: ["a:2", "b:3"] },
  { save: save("e:5", [["Note", row("c", 4, "c")]], [["Note", "a"]]), rows: ["b:3", "c:4"] },
  { save: save("e:9", [["Note", row("d", 9, "d")]], [], true), rows: ["d:9"] },
];

/** Lets so many writing transactions of a store through, and no more: the page was killed. */
function killAfter(store: IndexedDbStore, transactions: number): void {
  const { database } = store as unknown as { database: IDBDatabase };
  const begin = database.transaction.bind(database);
  let left = transactions;
  database.transaction = ((names: string[], mode?: IDBTransactionMode, options?: IDBTransactionOptions) => {
    if (mode === "readwrite" && left-- <= 0) throw new Error("killed");
    return begin(names, mode, options);
  }) as IDBDatabase["transaction"];
}

describe("a store that is killed", () => {
  test("holds the rows of its cursor, after any number of transactions", async () => {
    for (let transactions = 0; transactions <= 2 * STEPS.length; transactions++) {
      const factory = new IDBFactory();
      const first = await IndexedDbStore.open(factory, "replica", "first");
      await first.write({ wipe: { principal: "u1" }, save: null, kept: [], dropped: [] });
      killAfter(first, transactions);
      for (const { save } of STEPS) await first.write({ wipe: null, save, kept: [], dropped: [] }).catch(() => undefined);
      first.close();
      const second = await IndexedDbStore.open(factory, "replica", "second");
      const { replica } = await second.load();
      const found = (replica?.rows ?? []).map(([, one]) => `${one.id}:${one._seq}`).sort();
      const wanted = STEPS.find((step) => step.save.cursor === replica?.cursor)?.rows ?? [];
      expect([replica?.cursor, found]).toEqual([replica?.cursor, wanted]);
      second.close();
    }
  });
});
