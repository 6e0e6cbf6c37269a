// Goal: what is kept between visits is either whole and the caller's own, or not shown at all.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Budget } from "../src/budget.ts";
import { connect, type Database } from "../src/index.ts";
import { FakeNetwork } from "./fake-network.ts";
import { ModelServer } from "./model-server.ts";

const NAME = "pylon:http://localhost:4321:__PYLON_APP__";
let server: ModelServer;
let network: FakeNetwork;
let open: Database[] = [];

async function visit(): Promise<Database> {
  const db = await connect({ url: "http://localhost:4321", surroundings: network.surroundings });
  open.push(db);
  return db;
}

async function rest(): Promise<void> {
  for (let round = 0; round < 20; round++) await network.settle();
}

async function leave(db: Database): Promise<void> {
  db.close();
  await rest();
}

function wait<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Works on the stored database while no page has it open. */
async function tamper<T>(work: (database: IDBDatabase) => Promise<T>): Promise<T> {
  const database = await wait(indexedDB.open(NAME));
  try {
    return await work(database);
  } finally {
    database.close();
  }
}

const texts = (rows: readonly object[]): unknown[] => rows.map((row) => (row as { text?: unknown }).text);

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  server = new ModelServer();
  network = new FakeNetwork(server);
});
afterEach(() => {
  for (const db of open) db.close();
  open = [];
});

test("apps that share an origin share no rows and no pending mutations", async () => {
  const db = await visit();
  db.query("Note");
  await rest();
  network.isUp = false;
  network.cut();
  db.insert("Note", { text: "of one app" }).catch(() => undefined);
  await rest();
  await leave(db);
  const other = await connect({ url: "http://localhost:4321", app: "other/app", surroundings: network.surroundings });
  open.push(other);
  const query = other.query("Note");
  await rest();
  expect(other.pending).toEqual([]);
  expect(query.rows).toEqual([]);
});

describe("pending mutations", () => {
  test("say when they are stored, and survive the page", async () => {
    const db = await visit();
    db.query("Note");
    await rest();
    network.isUp = false;
    network.cut();
    db.insert("Note", { text: "1" }).catch(() => undefined);
    expect(db.pending).toMatchObject([{ state: "waiting", stored: false, error: null }]);
    await rest();
    expect(db.pending).toMatchObject([{ state: "waiting", stored: true }]);
    await leave(db);
    const later = await visit();
    expect(later.pending).toMatchObject([{ fn: "pylon.insert", state: "waiting", stored: true }]);
  });

  test("are sent in the order made, though the clock went back between visits", async () => {
    const first = await visit();
    const query = first.query("Note");
    await rest();
    network.isUp = false;
    network.cut();
    vi.spyOn(Date, "now").mockReturnValue(2_000_000_000_000);
    first.insert("Note", { id: "a", text: "1" }).catch(() => undefined);
    await rest();
    expect(texts(query.rows)).toEqual(["1"]);
    await leave(first);
    vi.spyOn(Date, "now").mockReturnValue(1_000_000_000_000);
    const second = await visit();
    const later = second.query("Note");
    second.update("Note", "a", { text: "2" }).catch(() => undefined);
    await rest();
    await leave(second);
    vi.restoreAllMocks();
    network.isUp = true;
    const third = await visit();
    await rest();
    expect(third.pending).toEqual([]);
    expect(server.rows.get("Note")?.get("a")).toMatchObject({ text: "2" });
    expect(later).toBeDefined();
  });

  test("one refused with nobody there to be told is listed until it is retried or discarded", async () => {
    const before = await visit();
    before.query("Note");
    await rest();
    network.isUp = false;
    network.cut();
    before.insert("Note", { text: server.refused }).catch(() => undefined);
    before.insert("Note", { text: "fine" }).catch(() => undefined);
    await rest();
    await leave(before);
    network.isUp = true;
    const after = await visit();
    const query = after.query("Note");
    await rest();
    expect(texts(query.rows)).toEqual(["fine"]);
    expect(after.pending).toMatchObject([{ state: "rejected", error: { code: "POLICY_DENIED" } }]);
    expect(after.status.pending).toBe(0);
    await leave(after);
    const later = await visit();
    await rest();
    const [listed] = later.pending;
    expect(listed).toMatchObject({ state: "rejected", error: { code: "POLICY_DENIED" } });
    const refused = server.refused;
    server.refused = "nothing";
    listed?.retry();
    await rest();
    expect(later.pending).toEqual([]);
    expect([...server.rows.get("Note")?.values() ?? []].map((row) => row["text"])).toContain(refused);
    await leave(later);
    expect((await visit()).pending).toEqual([]);
  });

  test("a discarded one leaves the screen and is never sent", async () => {
    const db = await visit();
    const query = db.query("Note");
    await rest();
    network.isUp = false;
    network.cut();
    const inserted = db.insert("Note", { text: "no" }).catch((error: { code: string }) => error.code);
    await rest();
    db.pending[0]?.discard();
    expect(query.rows).toEqual([]);
    expect(await inserted).toBe("ABORTED");
    await rest();
    await leave(db);
    network.isUp = true;
    const later = await visit();
    await rest();
    expect(later.pending).toEqual([]);
    expect(server.outcomes.size).toBe(0);
  });

  test("a confirmed one leaves the store together with the rows that show it", async () => {
    const db = await visit();
    db.query("Note");
    await rest();
    const inserted = db.insert("Note", { text: "1" });
    await rest();
    await inserted;
    await leave(db);
    network.isUp = false;
    const later = await visit();
    const query = later.query("Note");
    await rest();
    expect(later.pending).toEqual([]);
    expect(texts(query.rows)).toEqual(["1"]);
  });
});

describe("a store of before", () => {
  test("another schema: what waits is sent, rows have the new fields, and what no longer fits is reported", async () => {
    const before = await visit();
    before.query("Note");
    server.write("Note", "a", { text: "1" });
    await rest();
    network.isUp = false;
    network.cut();
    before.insert("Note", { text: "fine" }).catch(() => undefined);
    before.insert("Note", { text: server.refused }).catch(() => undefined);
    await rest();
    await leave(before);
    network.isUp = true;
    const [note] = network.manifest.entities;
    if (note === undefined) throw new Error("no entity");
    const added = { name: "stars", kind: "int", type: "number", default: { value: 5 } };
    network.manifest = { ...network.manifest, hash: "h2", entities: [{ ...note, fields: [...note.fields, added] }] };
    server.schema = "h2";
    const after = await visit();
    const query = after.query("Note", { order: ["text"] });
    await rest();
    expect(query.rows).toMatchObject([{ text: "1", stars: 5 }, { text: "fine", stars: 5 }]);
    expect(after.pending).toMatchObject([{ state: "rejected", error: { code: "POLICY_DENIED" } }]);
  });

  test("another build of this client, without seal and order: nothing of it is lost", async () => {
    const before = await visit();
    before.query("Note");
    server.write("Note", "a", { text: "1" });
    await rest();
    network.isUp = false;
    network.cut();
    before.insert("Note", { text: "2" }).catch(() => undefined);
    await rest();
    await leave(before);
    await tamper(async (database) => {
      const transaction = database.transaction(["meta", "rows", "pending"], "readwrite");
      const { seal: _, ...head } = await wait(transaction.objectStore("meta").get("head")) as { seal: string };
      await wait(transaction.objectStore("meta").put(head));
      await wait(transaction.objectStore("rows").delete(["", ""]));
      const [{ order: __, ...pending }] = await wait(transaction.objectStore("pending").getAll()) as [{ order: number }];
      await wait(transaction.objectStore("pending").put(pending));
    });
    const after = await visit();
    const query = after.query("Note", { order: ["text"] });
    await rest();
    expect(texts(query.rows)).toEqual(["1", "2"]);
    network.isUp = true;
    (after as unknown as { tab: { wake: (isOnline: boolean) => void } }).tab.wake(true);
    await rest();
    expect(after.pending).toEqual([]);
    expect(texts(query.rows)).toEqual(["1", "2"]);
  });
});

/** Visits the page until what it shows is stored. */
async function visitAndRead(): Promise<Awaited<ReturnType<typeof visit>>> {
  const db = await visit();
  db.query("Note");
  await rest();
  await rest();
  return db;
}

describe("what is not whole is not shown", () => {
  async function stored(): Promise<void> {
    server.write("Note", "a", { text: "secret" });
    const db = await visit();
    db.query("Note");
    await rest();
    await leave(db);
  }

  test("rows without cursor, a cursor without rows: a snapshot follows", async () => {
    for (const name of ["rows", "meta"]) {
      await stored();
      await tamper((database) => wait(database.transaction(name, "readwrite").objectStore(name).clear()));
      network.isUp = false;
      const offline = await visit();
      expect(offline.query("Note").rows).toEqual([]);
      await leave(offline);
      network.isUp = true;
      const db = await visit();
      const query = db.query("Note");
      await rest();
      expect(texts(query.rows)).toEqual(["secret"]);
      await leave(db);
    }
  });

  test("a sign-in that was cut off leaves nothing to see, and nothing of the old rows in the store", async () => {
    await stored();
    const db = await visit();
    const query = db.query("Note");
    await rest();
    expect(texts(query.rows)).toEqual(["secret"]);
    await (db as unknown as { tab: { ask: (what: string) => Promise<void> } }).tab.ask("doubt");
    await leave(db);
    network.isUp = false;
    const offline = await visit();
    expect(offline.query("Note").rows).toEqual([]);
    await rest();
    await leave(offline);
    const count = await tamper((database) => wait(database.transaction("rows").objectStore("rows").count()));
    expect(count).toBeLessThanOrEqual(1);
  });

  test("a failed sign-in leaves the rows as they were", async () => {
    await stored();
    const db = await visit();
    const query = db.query("Note");
    await rest();
    await expect(db.auth.verifyCode("a@example.com", "WRONG")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(texts(query.rows)).toEqual(["secret"]);
    await rest();
    await leave(db);
    network.isUp = false;
    const later = await visit();
    const again = later.query("Note");
    await rest();
    expect(texts(again.rows)).toEqual(["secret"]);
  });

  test("a sign-in whose answer was lost leaves nothing to see before the server says who it is", async () => {
    await stored();
    const db = await visit();
    await rest();
    network.isUp = false;
    await expect(db.auth.verifyCode("a@example.com", "123456")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await leave(db);
    const offline = await visit();
    const query = offline.query("Note");
    await rest();
    expect(texts(query.rows)).toEqual([]);
    await leave(offline);
    network.isUp = true;
    await leave(await visitAndRead());
    network.isUp = false;
    expect(texts((await visitAndRead()).query("Note").rows)).toEqual(["secret"]);
  });

  test("signing out is over only when the store is empty", async () => {
    await stored();
    const db = await visit();
    await rest();
    await db.auth.signOut();
    const count = await tamper((database) => wait(database.transaction("rows").objectStore("rows").count()));
    expect(count).toBeLessThanOrEqual(1);
  });
});

describe("a store that goes away", () => {
  test("by deletion: the page goes on from memory and says so at once", async () => {
    const db = await visit();
    const query = db.query("Note");
    await rest();
    expect(db.status.persistent).toBe(true);
    await wait(indexedDB.deleteDatabase(NAME) as IDBRequest<unknown>);
    expect(db.status.persistent).toBe(false);
    server.write("Note", "a", { text: "1" });
    await rest();
    expect(texts(query.rows)).toEqual(["1"]);
  });

  test("that does not open: memory, and the status says so", async () => {
    vi.stubGlobal("indexedDB", { open: () => { throw new DOMException("denied", "SecurityError"); } });
    const db = await visit();
    await rest();
    expect(db.status).toMatchObject({ persistent: false, state: "live" });
  });
});

describe("the budget for a server in trouble", () => {
  test("is ten requests in any minute, and none while all is well", () => {
    let now = 0;
    const budget = new Budget(() => now);
    const sent: number[] = [];
    for (; now < 600_000; now += 100) {
      if (budget.wait() > 0) continue;
      budget.count();
      sent.push(now);
    }
    for (const at of sent) expect(sent.filter((other) => other >= at && other < at + 60_000).length).toBeLessThanOrEqual(10);
    expect(sent.length).toBeGreaterThan(90);
    budget.free(true);
    expect(budget.wait()).toBe(0);
  });
});
