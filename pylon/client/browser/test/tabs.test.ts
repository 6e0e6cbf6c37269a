// Goal: tabs of one browser share one connection and one store, and none of them notices who leads.
// Method: whole clients over a network, a channel and locks in memory; tabs die without a word.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect, type ConnectOptions, type Database } from "../src/index.ts";
import { FakeBrowser, type FakeTab } from "./fake-browser.ts";
import { FakeNetwork } from "./fake-network.ts";
import { ModelServer } from "./model-server.ts";

let server: ModelServer;
let network: FakeNetwork;
let browser: FakeBrowser;
let open: Database[] = [];

const texts = (rows: readonly object[]): unknown[] => rows.map((row) => (row as { text?: unknown }).text);

async function visit(options: ConnectOptions = {}): Promise<{ tab: FakeTab; db: Database }> {
  const tab = browser.tab();
  const connecting = connect({ url: "http://localhost:4321", surroundings: tab.surroundings, ...options });
  const db = await Promise.race([connecting, ever(connecting)]);
  open.push(db);
  return { tab, db };
}

/** Keeps the network moving until somebody is connected. */
async function ever<T>(waited: Promise<T>): Promise<T> {
  let isOver = false;
  void waited.finally(() => { isOver = true; });
  while (!isOver) await network.settle();
  return waited;
}

async function until(holds: () => boolean, ms = 5_000): Promise<void> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${holds}`);
    await network.settle();
  }
}

const pushes = (): number => [...network.all].reduce(
  (sum, socket) => sum + socket.sent.filter((message) => message.type === "push").length, 0,
);

describe.each([["with locks", true], ["without locks", false]])("tabs %s", (_, hasLocks) => {
  beforeEach(() => {
    vi.stubGlobal("indexedDB", new IDBFactory());
    server = new ModelServer();
    network = new FakeNetwork(server);
    browser = new FakeBrowser(network, hasLocks);
  });
  afterEach(() => {
    for (const db of open) db.close();
    open = [];
  });

  test("share one socket, and all see what any of them writes at once", async () => {
    server.write("Note", "a", { text: "1" });
    const [one, other] = [await visit(), await visit()];
    const queries = [one, other].map(({ db }) => db.query("Note", { order: ["text"] }));
    await until(() => queries.every((query) => query.ready));
    expect(network.sockets.size).toBe(1);
    const inserted = other.db.insert("Note", { text: "2" });
    expect(texts(queries[1]?.rows ?? [])).toEqual(["1", "2"]);
    await until(() => other.db.status.pending === 0 && one.db.status.pending === 0);
    expect(await inserted).toMatchObject({ text: "2", _seq: 2 });
    expect(queries.map((query) => texts(query.rows))).toEqual([["1", "2"], ["1", "2"]]);
    expect([one.db.status, other.db.status]).toMatchObject([{ state: "live" }, { state: "live", persistent: true }]);
    expect(pushes()).toBe(1);
  });

  test("all lose what a policy takes away at once, and get it back; writes that wait stay on top", async () => {
    for (const id of ["a", "b", "c", "d", "e"]) server.write("Note", id, { text: id < "d" ? "x" : "y" });
    const [one, other] = [await visit(), await visit()];
    const queries = [one, other].map(({ db }) => db.query("Note", { order: ["id"] }));
    await until(() => queries.every((query) => query.ready));
    const seen: string[] = [];
    queries[1]?.subscribe((rows) => seen.push(texts(rows).join("")));
    server.turn("x");
    await until(() => queries.every((query) => query.rows.length === 2));
    network.isUp = false;
    network.cut();
    const written = other.db.insert("Note", { id: "z", text: "mine" });
    server.turn("x");
    server.turn("y");
    network.isUp = true;
    await until(() => queries.every((query) => texts(query.rows).join("") === "xxxmine"), 10_000);
    await written;
    // In whole steps only: neither half a loss nor half a gain was ever shown.
    expect(new Set(seen)).toEqual(new Set(["xxxyy", "yy", "yymine", "xxxmine"]));
  });

  test("a tab that comes while a write of another is under way sees it end", async () => {
    const one = await visit();
    await until(() => one.db.status.state === "live");
    const refused = one.db.insert("Note", { text: server.refused }).catch((error: { code: string }) => error.code);
    // The server's answer stays under way until the network is carried on.
    const other = await connect({ url: "http://localhost:4321", surroundings: browser.tab().surroundings });
    open.push(other);
    expect([one.db.status.pending, other.status.pending]).toEqual([1, 1]);
    await until(() => one.db.status.pending === 0);
    expect(await refused).toBe("POLICY_DENIED");
    await network.settle();
    expect(other.status.pending).toBe(0);
    expect(other.pending).toEqual([]);
  });

  test("a follower's own write never flickers, and a refused one rolls back in all", async () => {
    const [one, other] = [await visit(), await visit()];
    const queries = [one, other].map(({ db }) => db.query("Note"));
    await until(() => queries.every((query) => query.ready));
    const seen: number[] = [];
    queries[1]?.subscribe((rows) => seen.push(rows.length));
    await network.settle();
    await Promise.all([other.db.insert("Note", { text: "x" }), until(() => other.db.status.pending === 0)]);
    expect(seen.filter((count) => count > 0)).toEqual(seen.slice(seen.indexOf(1)));
    const refused = other.db.insert("Note", { text: server.refused }).catch((error: { code: string }) => error.code);
    expect(queries[1]?.rows).toHaveLength(2);
    await until(() => queries.every((query) => query.rows.length === 1));
    expect(await refused).toBe("POLICY_DENIED");
    await until(() => one.db.pending.length === 0);
    expect(other.db.pending).toEqual([]);
  });

  test("when the leader dies another takes over, and nobody sees rows go", async () => {
    server.write("Note", "a", { text: "1" });
    const [one, other, third] = [await visit(), await visit(), await visit()];
    const queries = [other, third].map(({ db }) => db.query("Note", { order: ["text"] }));
    await until(() => queries.every((query) => query.ready));
    const rows = queries.map((query) => query.rows);
    const seen: unknown[][] = [];
    for (const query of queries) query.subscribe((found) => seen.push(texts(found)));
    one.tab.kill();
    const killed = Date.now();
    await until(() => network.sockets.size === 1 && network.all.size === 2);
    expect(Date.now() - killed).toBeLessThan(5_000);
    await until(() => queries.every((query) => query.ready));
    expect(queries.map((query) => query.rows)).toEqual(rows);
    server.write("Note", "b", { text: "2" });
    await until(() => queries.every((query) => query.rows.length === 2));
    expect(new Set(seen.map((found) => found.join()))).toEqual(new Set(["1", "1,2"]));
    expect(queries[0]?.rows[0]).toBe(rows[0]?.[0]);
  });

  test("what a follower wrote while there was no server is sent once by whoever leads then", async () => {
    const [one, other] = [await visit(), await visit()];
    const query = other.db.query("Note", { order: ["text"] });
    await until(() => query.ready);
    network.isUp = false;
    network.cut();
    await until(() => other.db.status.state === "offline");
    const written = [other.db.insert("Note", { text: "1" }), other.db.insert("Note", { text: "2" })];
    await until(() => other.db.pending.length === 2 && other.db.pending.every((one) => one.stored));
    one.tab.kill();
    await until(() => other.db.status.state === "offline");
    expect(texts(query.rows)).toEqual(["1", "2"]);
    network.isUp = true;
    await until(() => {
      (other.db as unknown as { tab: { wake: (isOnline: boolean) => void } }).tab.wake(true);
      return other.db.status.state === "live" && other.db.status.pending === 0;
    });
    expect((await Promise.all(written)).map((row) => row._seq)).toEqual([1, 2]);
    expect(server.outcomes.size).toBe(2);
    expect(texts(query.rows)).toEqual(["1", "2"]);
  });

  test("signing out in one leaves nothing in any, and the next caller is everywhere", async () => {
    server.write("Note", "a", { text: "1" });
    const [one, other] = [await visit(), await visit()];
    const queries = [one, other].map(({ db }) => db.query("Note"));
    await until(() => queries.every((query) => query.rows.length === 1));
    server.rows.clear();
    const seen: number[] = [];
    for (const query of queries) query.subscribe((rows) => seen.push(rows.length));
    await network.settle();
    const leaving = other.db.auth.signOut();
    expect(queries[1]?.rows).toEqual([]);
    expect(seen).toEqual([1, 1, 0]);
    seen.length = 0;
    await ever(leaving);
    await until(() => one.db.auth.user === null && one.db.status.state === "live");
    expect(queries.map((query) => query.rows.length)).toEqual([0, 0]);
    expect(Math.max(0, ...seen)).toBe(0);
    await ever(one.db.auth.devLogin("b@example.com"));
    await until(() => other.db.auth.user?.user_id === "u2");
  });

  test("a page with another token keeps to itself", async () => {
    const [one, other] = [await visit(), await visit({ token: "another" })];
    await until(() => one.db.status.state === "live" && other.db.status.state === "live");
    expect(network.sockets.size).toBe(2);
    expect([one.db.status.persistent, other.db.status.persistent]).toEqual([true, false]);
  });

  test("what one tab does not want any more leaves only when no other wants it", async () => {
    const [one, other] = [await visit(), await visit()];
    const queries = [one, other].map(({ db }) => db.query("Note"));
    await until(() => queries.every((query) => query.ready));
    queries[0]?.close();
    server.write("Note", "a", { text: "1" });
    await until(() => queries[1]?.rows.length === 1);
  });
});
