// Goal: a followed function shows its newest value, to all tabs, and is still where nothing changed.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connect, type Database } from "../src/index.ts";
import { FakeBrowser, type FakeTab } from "./fake-browser.ts";
import { FakeNetwork } from "./fake-network.ts";
import { ModelServer } from "./model-server.ts";

let server: ModelServer;
let network: FakeNetwork;
let browser: FakeBrowser;
let open: Database[] = [];

async function visit(): Promise<{ tab: FakeTab; db: Database }> {
  const tab = browser.tab();
  const connecting = connect({ url: "http://localhost:4321", surroundings: tab.surroundings });
  let isOver = false;
  void connecting.finally(() => { isOver = true; });
  while (!isOver) await network.settle();
  const db = await connecting;
  open.push(db);
  return { tab, db };
}

async function until(holds: () => boolean, ms = 5_000): Promise<void> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${holds}`);
    await network.settle();
  }
}

const asked = (fn: string): number => [...network.all].reduce((sum, socket) => sum + socket.sent.filter(
  (message) => message.type === "subscribe" && message.fn === fn,
).length, 0);

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  server = new ModelServer();
  server.functions = {
    board: ({ top }) => ({ top: top ?? 0, ids: [...server.rows.get("Note")?.keys() ?? []] }),
    me: (_, userId) => userId,
    fragile: () => {
      if (server.rows.get("Note")?.has("bomb") === true) throw "BOMB";
      return "calm";
    },
  };
  network = new FakeNetwork(server);
  browser = new FakeBrowser(network, true);
});
afterEach(() => {
  for (const db of open) db.close();
  open = [];
  vi.restoreAllMocks();
});

test("a value comes, follows, and stays the same object where it is equal", async () => {
  vi.spyOn(Math, "random").mockReturnValue(0);  // comes back at once
  const { db } = await visit();
  const live = db.live("board", { top: 3 });
  const seen: unknown[] = [];
  live.subscribe((value) => seen.push(value));
  expect(live.getSnapshot()).toEqual({ value: undefined, ready: false, error: null });
  await until(() => live.ready);
  expect(seen).toEqual([{ top: 3, ids: [] }]);
  server.write("Note", "a", { text: "1" });
  await until(() => seen.length === 2);
  expect(live.value).toEqual({ top: 3, ids: ["a"] });
  const { value } = live;
  network.cut();
  await until(() => db.status.state !== "live");
  expect(live.value).toBe(value);
  await until(() => db.status.state === "live");
  await network.settle();
  expect(live.value).toBe(value);
  expect(seen.length).toBe(2);
});

test("equal calls are asked once, and closing the last one ends it", async () => {
  const { db } = await visit();
  const [one, other] = [db.live("board"), db.live("board", {})];
  await until(() => one.ready && other.ready);
  expect(asked("board")).toBe(1);
  expect(one.value).toEqual({ top: 0, ids: [] });
  one.close();
  server.write("Note", "a", { text: "1" });
  await until(() => (other.value as { ids: string[] }).ids.length === 1);
  expect(one.value).toEqual({ top: 0, ids: [] });
});

test("an error takes the value's place, and heals", async () => {
  const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { db } = await visit();
  const live = db.live("fragile");
  const seen: unknown[] = [];
  live.subscribe((value) => seen.push(value));
  await until(() => live.value === "calm");
  server.write("Note", "bomb", { text: "" });
  await until(() => live.error !== null);
  expect(live.getSnapshot()).toMatchObject({ value: undefined, ready: true, error: { code: "BOMB" } });
  expect(told).toHaveBeenCalledTimes(1);
  server.write("Note", "bomb", null);
  await until(() => live.error === null);
  expect(live.value).toBe("calm");
  expect(seen).toEqual(["calm", undefined, "calm"]);
});

test("tabs share one subscription, and the next leader takes it over", async () => {
  const [first, second] = [await visit(), await visit()];
  const lives = [first, second].map(({ db }) => db.live("board"));
  await until(() => lives.every((one) => one.ready));
  expect(asked("board")).toBe(1);
  server.write("Note", "a", { text: "1" });
  await until(() => lives.every((one) => (one.value as { ids: string[] }).ids.length === 1));
  const seen = vi.fn();
  lives[1]?.subscribe(seen);
  await network.settle();
  first.db.close();
  await until(() => second.db.status.state === "live" && network.sockets.size === 1);
  server.write("Note", "b", { text: "2" });
  await until(() => (lives[1]?.value as { ids: string[] } | undefined)?.ids.length === 2);
  expect(seen).toHaveBeenLastCalledWith({ top: 0, ids: ["a", "b"] });
});

test.each([true, false])("a takeover tells no listener that its value is gone (locks: %s)", async (hasLocks) => {
  browser = new FakeBrowser(network, hasLocks);
  const tabs = [await visit(), await visit(), await visit()];
  const [first, second, third] = tabs as [typeof tabs[0], typeof tabs[0], typeof tabs[0]];
  // Of the one that leads, of both that stay, and of the one that goes on following.
  const lives = [first.db.live("board"), second.db.live("board"), third.db.live("board"), third.db.live("board", { top: 3 })];
  await until(() => lives.every((one) => one.ready));
  const seen = lives.slice(1).map((one) => {
    const told: unknown[] = [];
    one.subscribe((value) => told.push(value));
    return told;
  });
  await network.settle();
  first.db.close();
  await until(() => second.db.status.state === "live" && third.db.status.state === "live" && network.sockets.size === 1, 20_000);
  server.write("Note", "b", { text: "2" });
  await until(() => seen.every((told) => (told.at(-1) as { ids: string[] } | undefined)?.ids.length === 1));
  expect(seen).toEqual([0, 0, 3].map((top) => [{ top, ids: [] }, { top, ids: ["b"] }]));
}, 30_000);

test("a takeover hands no value over to another caller", async () => {
  const [first, second] = [await visit(), await visit()];
  const lives = [first, second].map(({ db }) => db.live("me"));
  await until(() => lives.every((one) => one.value === "u1"));
  const seen: unknown[] = [];
  lives[1]?.subscribe((value) => seen.push(value));
  await network.settle();
  network.userId = "u2";
  first.db.close();
  await until(() => lives[1]?.value === "u2");
  expect(seen).toEqual(["u1", undefined, "u2"]);
});

test("another caller never sees the value of the one before", async () => {
  const { db } = await visit();
  const live = db.live("me");
  const seen: unknown[] = [];
  live.subscribe((value) => seen.push(value));
  await until(() => live.value === "u1");
  void db.auth.signOut();
  await until(() => live.value === undefined || live.value === null);
  await until(() => live.value === null);
  expect(seen).toEqual(["u1", undefined, null]);
});
