// Goal: the facade does what APP.md says, end to end over a network in memory.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect, MemoryStore, type ConnectOptions, type Database } from "../src/index.ts";
import { FakeNetwork } from "./fake-network.ts";
import { ModelServer } from "./model-server.ts";

let server: ModelServer;
let network: FakeNetwork;
let open: Database[] = [];

async function database(options: ConnectOptions = { store: "memory" }): Promise<Database> {
  const db = await connect({ url: "http://localhost:4321", surroundings: network.surroundings, ...options });
  open.push(db);
  return db;
}

/** Lets IndexedDB and the network come to rest. */
async function rest(): Promise<void> {
  for (let round = 0; round < 20; round++) await network.settle();
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
  vi.useRealTimers();
});

describe("a live query", () => {
  test("hydrates, becomes ready, and follows what others write", async () => {
    for (const [id, text] of [["a", "x"], ["b", "z"], ["c", "y"]] as const) server.write("Note", id, { text });
    const db = await database();
    const query = db.query("Note", { order: ["text"] });
    const seen: unknown[][] = [];
    query.subscribe((rows) => seen.push(texts(rows)));
    await network.settle();
    expect(query.ready).toBe(true);
    expect(texts(query.rows)).toEqual(["x", "y", "z"]);
    server.write("Note", "b", { text: "a" });
    await network.settle();
    expect(seen.at(-1)).toEqual(["a", "x", "y"]);
    expect(db.status.state).toBe("live");
  });

  test("keeps the objects of rows that did not change, and is silent about others", async () => {
    server.write("Note", "a", { text: "1", state: "on" });
    server.write("Note", "b", { text: "2", state: "on" });
    const db = await database();
    const query = db.query("Note", { where: { state: "on" }, order: ["text"] });
    const listener = vi.fn();
    query.subscribe(listener);
    await network.settle();
    const [first] = query.rows;
    listener.mockClear();
    server.write("Note", "c", { text: "3", state: "off" });
    await network.settle();
    expect(listener).not.toHaveBeenCalled();
    server.write("Note", "b", { text: "9" });
    await network.settle();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(query.rows[0]).toBe(first);
  });

  test("tells an empty result once it is known to be empty", async () => {
    const db = await database();
    const listener = vi.fn();
    db.query("Note").subscribe(listener);
    expect(listener).not.toHaveBeenCalled();
    await network.settle();
    expect(listener).toHaveBeenCalledExactlyOnceWith([]);
  });

  test("shares one subscription with its equals, and goes a while after its last reader", async () => {
    const db = await database();
    const [one, other] = [db.query("Note"), db.query("Note", { order: ["text"] })];
    await network.settle();
    const [socket] = network.sockets;
    expect(socket?.sent.filter((message) => message.type === "subscribe")).toHaveLength(1);
    vi.useFakeTimers();
    one.close();
    other.close();
    vi.advanceTimersByTime(6_000);
    expect(socket?.sent.at(-1)).toMatchObject({ type: "unsubscribe" });
  });

  test("reads one row", async () => {
    server.write("Note", "a", { text: "1" });
    const db = await database();
    const row = db.row("Note", "a");
    await network.settle();
    expect(row.row).toMatchObject({ id: "a", text: "1" });
    server.write("Note", "a", null);
    await network.settle();
    expect(row.row).toBeNull();
    expect(row.ready).toBe(true);
  });

  test("survives a listener that throws", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    server.write("Note", "a", { text: "1" });
    const db = await database();
    const listener = vi.fn();
    const query = db.query("Note");
    query.subscribe(() => { throw new Error("mine"); });
    query.subscribe(listener);
    await network.settle();
    expect(listener).toHaveBeenCalled();
  });
});

describe("writing", () => {
  test("an insert is seen at once with its defaults, and resolves with the stored row", async () => {
    const db = await database();
    const query = db.query("Note");
    await network.settle();
    const seen: number[] = [];
    query.subscribe((rows) => seen.push(rows.length));
    const inserted = db.insert("Note", { text: "hi", at: new Date(0) });
    expect(query.rows).toMatchObject([{ text: "hi", state: "new", authorId: "u1", _seq: 0, at: "1970-01-01T00:00:00.000Z" }]);
    expect(db.status.pending).toBe(1);
    await network.settle();
    const row = await inserted;
    expect(row).toMatchObject({ text: "hi", _seq: 1 });
    expect(query.rows).toMatchObject([{ id: row.id, _seq: 1 }]);
    expect(db.status.pending).toBe(0);
    expect(new Set(seen)).toEqual(new Set([1]));
  });

  test("a refused insert rolls back and rejects with the server's code", async () => {
    const db = await database();
    const query = db.query("Note");
    await network.settle();
    const inserted = db.insert("Note", { text: server.refused });
    expect(query.rows).toHaveLength(1);
    const refusal = expect(inserted).rejects.toMatchObject({ code: "POLICY_DENIED" });
    await network.settle();
    await refusal;
    expect(query.rows).toHaveLength(0);
  });

  test("what is written offline is sent in order when the server is back", async () => {
    const db = await database();
    const query = db.query("Note", { order: ["text"] });
    await network.settle();
    network.isUp = false;
    network.cut();
    await rest();
    expect(db.status.state).toBe("offline");
    const first = db.insert("Note", { text: "1" });
    const second = db.insert("Note", { text: "2" });
    expect(texts(query.rows)).toEqual(["1", "2"]);
    expect(db.pending).toHaveLength(2);
    network.isUp = true;
    (db as unknown as { tab: { wake: (isOnline: boolean) => void } }).tab.wake(true);
    await network.settle();
    expect([(await first)._seq, (await second)._seq]).toEqual([1, 2]);
    expect(db.status).toMatchObject({ state: "live", pending: 0 });
  });

  test("an operation that fits no frame is refused here", async () => {
    const db = await database();
    await expect(db.insert("Note", { text: "x".repeat(2 ** 20) })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("a call of a query goes by HTTP; a guess of a mutation is seen at once", async () => {
    server.write("Note", "a", { text: "1" });
    const db = await database();
    const query = db.query("Note");
    await network.settle();
    expect(await db.call<number>("count")).toBe(1);
    const renamed = db.call("rename", { id: "a" }, {
      optimistic: (tx) => {
        for (const row of tx.list("Note", { text: "1" })) tx.update("Note", row.id, { text: "guess" });
      },
    });
    const refusal = expect(renamed).rejects.toMatchObject({ code: "NOT_FOUND" });
    await Promise.resolve();
    await Promise.resolve();
    expect(texts(query.rows)).toEqual(["guess"]);
    await network.settle();
    await refusal;
    expect(texts(query.rows)).toEqual(["1"]);
  });
});

describe("between visits", () => {
  test("rows, cursor and states come back from IndexedDB, and nothing is sent again", async () => {
    server.write("Note", "a", { text: "1" });
    const before = await database({});
    before.query("Note");
    await rest();
    expect(before.status.persistent).toBe(true);
    before.close();
    server.write("Note", "b", { text: "2" });
    const after = await database({});
    const query = after.query("Note", { order: ["text"] });
    await rest();
    expect(texts(query.rows)).toEqual(["1", "2"]);
    const hello = [...network.sockets][0]?.sent[0];
    expect(hello).toMatchObject({ type: "hello", cursor: "e1:1", subscriptions: [{ entity: "Note", have: true }] });
  });

  test("without a server the stored rows are shown", async () => {
    server.write("Note", "a", { text: "1" });
    const before = await database({});
    before.query("Note");
    await rest();
    before.close();
    network.isUp = false;
    const after = await database({});
    const query = after.query("Note");
    await rest();
    expect(texts(query.rows)).toEqual(["1"]);
    expect(query.ready).toBe(true);
    expect(after.status.state).toBe("offline");
  });

  test("another user sees none of the rows, and they leave the store", async () => {
    server.write("Note", "a", { text: "secret" });
    const before = await database({});
    before.query("Note");
    await rest();
    before.close();
    network.userId = "u2";
    server.rows.clear();
    const after = await database({});
    const query = after.query("Note");
    const seen: unknown[] = [];
    query.subscribe((rows) => seen.push(...rows));
    await rest();
    expect(seen).toEqual([]);
    after.close();
    network.isUp = false;
    const later = await database({});
    expect(later.query("Note").rows).toEqual([]);
  });

  test("pending mutations survive, and are sent under the same ids", async () => {
    const before = await database({});
    before.query("Note");
    await rest();
    network.isUp = false;
    network.cut();
    before.insert("Note", { text: "kept" }).catch(() => undefined);
    await rest();
    before.close();
    network.isUp = true;
    const after = await database({});
    const query = after.query("Note");
    await rest();
    expect(texts(query.rows)).toEqual(["kept"]);
    expect(after.pending).toEqual([]);
    expect(server.outcomes.size).toBe(1);
  });

  test("the page that opened the store last owns it; the other goes on from memory", async () => {
    const first = await database({});
    first.query("Note");
    await rest();
    const second = await database({});
    const query = second.query("Note");
    await rest();
    server.write("Note", "a", { text: "1" });
    await rest();
    expect(first.status.persistent).toBe(false);
    expect(second.status.persistent).toBe(true);
    expect(texts(query.rows)).toEqual(["1"]);
    expect(texts(first.query("Note").rows)).toEqual(["1"]);
  });

  test("a store that fails is left for memory, and the status says so", async () => {
    class Broken extends MemoryStore {
      override readonly isPersistent = true;
      override async write(): Promise<void> { throw new DOMException("full", "QuotaExceededError"); }
    }
    const db = await database({ store: new Broken() });
    const query = db.query("Note");
    server.write("Note", "a", { text: "1" });
    await rest();
    expect(db.status.persistent).toBe(false);
    expect(texts(query.rows)).toEqual(["1"]);
  });
});

describe("signing in and out", () => {
  test("out: rows are gone before the server is asked; in: another's rows come", async () => {
    server.write("Note", "a", { text: "1" });
    const db = await database();
    const query = db.query("Note");
    await network.settle();
    expect(db.auth.user).toMatchObject({ user_id: "u1" });
    const leaving = db.auth.signOut();
    expect(query.rows).toEqual([]);
    await leaving;
    await rest();
    expect(db.auth.user).toBeNull();
    await db.auth.devLogin("b@example.com");
    await rest();
    expect(db.auth.user).toMatchObject({ user_id: "u2" });
    expect(texts(query.rows)).toEqual(["1"]);
  });

  test("out: the page's own lists are told at once, also where no server ever answers", async () => {
    server.write("Note", "a", { text: "1" });
    server.functions = { me: (_, userId) => userId };
    const db = await database();
    const [list, row, value] = [db.query("Note"), db.row("Note", "a"), db.live("me")];
    const page: Record<string, unknown> = {};
    list.subscribe((rows) => { page["list"] = texts(rows); });
    row.subscribe((one) => { page["row"] = one?.["text"] ?? null; });
    value.subscribe((one) => { page["value"] = one ?? null; });
    await network.settle();
    expect(page).toEqual({ list: ["1"], row: "1", value: "u1" });
    network.isUp = false;
    const leaving = db.auth.signOut();
    expect(page).toEqual({ list: [], row: null, value: null });
    await expect(leaving).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(page).toEqual({ list: [], row: null, value: null });
  });

  test("a session that the server does not know is forgotten, with all that it saw", async () => {
    server.write("Note", "a", { text: "1" });
    const db = await database();
    const query = db.query("Note");
    await network.settle();
    network.upgradeStatus = 401;
    network.cut();
    (db as unknown as { tab: { wake: (isOnline: boolean) => void } }).tab.wake(true);
    await network.settle();
    expect(query.rows).toEqual([]);
    expect(db.status.error).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(network.requests).toContain("POST /api/auth/logout");
  });
});

test("a part of the client that cannot be loaded says so, as any error", async () => {
  for (const name of ["questions", "streaming", "upload"]) {
    vi.doMock(`../src/${name}.ts`, () => { throw new Error("offline"); });
  }
  const db = await database();
  const unloaded = (name: string): object => ({ name: "PylonError", code: "UNAVAILABLE", message: `${name}.js cannot be loaded` });
  await expect(db.search("Note", "x")).rejects.toMatchObject(unloaded("questions"));
  await expect(db.stream("spell").next()).rejects.toMatchObject(unloaded("streaming"));
  await expect(db.call("spell", {}, { onPart: () => undefined })).rejects.toMatchObject(unloaded("streaming"));
  await expect(db.upload(new Blob(["x"]))).rejects.toMatchObject(unloaded("upload"));
});
