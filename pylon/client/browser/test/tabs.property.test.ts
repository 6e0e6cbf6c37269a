// Goal: whatever tabs do and however they die, each write reaches the server once, and all tabs that are
// left show what the server has.
// Method: random scripts over whole clients in one browser in memory; tabs are killed without a word.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { connect, type Database, type LiveQuery, type WireRow } from "../src/index.ts";
import { FakeBrowser, type FakeTab } from "./fake-browser.ts";
import { FakeNetwork } from "./fake-network.ts";
import { ModelServer } from "./model-server.ts";

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("insert" as const, "update" as const, "delete" as const), at: fc.nat(9), id: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("open" as const, "kill" as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("cut" as const, "heal" as const, "rest" as const) }) },
);

interface Page {
  readonly tab: FakeTab;
  readonly db: Database;
  readonly query: LiveQuery<WireRow>;
}

class World {
  readonly server = new ModelServer();
  readonly network = new FakeNetwork(this.server);
  readonly browser = new FakeBrowser(this.network, true);
  pages: Page[] = [];
  all: Page[] = [];
  made = 0;

  async open(): Promise<void> {
    const tab = this.browser.tab();
    let db: Database | null = null;
    void connect({ url: "http://localhost:4321", surroundings: tab.surroundings }).then((one) => { db = one; });
    while (db === null) await this.network.settle();
    const found: Database = db;
    const page = { tab, db: found, query: found.query<WireRow>("Note") };
    this.pages.push(page);
    this.all.push(page);
  }

  act(kind: "insert" | "update" | "delete", page: Page, id: string): void {
    const { db, query } = page;
    const text = `${++this.made}`;
    const work = kind === "insert" ? db.insert("Note", { id, text })
      : kind === "update" ? db.update("Note", id, { text }) : db.delete("Note", id);
    work.then(() => undefined, () => undefined);
    // What was just written is on the page at once.
    if (kind === "delete") expect(query.rows.some((row) => row.id === id)).toBe(false);
    else if (query.rows.some((row) => row.id === id) && kind === "update") {
      expect(query.rows.find((row) => row.id === id)?.["text"]).toBe(text);
    }
  }

  async until(holds: () => boolean): Promise<void> {
    const end = Date.now() + 8_000;
    while (!holds()) {
      if (Date.now() > end) throw new Error(JSON.stringify(this.pages.map(({ db, query }) => [db.status, query.rows])));
      for (const { db } of this.pages) (db as unknown as { tab: { wake: (isOnline: boolean) => void } }).tab.wake(true);
      await this.network.settle();
    }
  }
}

test("each write arrives once, and all tabs end with what the server has", async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 18 }), async (steps) => {
    vi.stubGlobal("indexedDB", new IDBFactory());
    const world = new World();
    await world.open();
    for (const one of steps) {
      const page = "at" in one ? world.pages[one.at % world.pages.length] : undefined;
      if (one.kind === "open") await world.open();
      else if (one.kind === "cut") { world.network.isUp = false; world.network.cut(); }
      else if (one.kind === "heal") world.network.isUp = true;
      else if (one.kind === "rest") await world.network.settle();
      else if (page === undefined) continue;
      else if (one.kind === "kill") {
        // Killed once its writes are in the store or with the leader: others are lost with it, as they may.
        // Before the first welcome nobody knows whose they are, and they are not stored either.
        world.network.isUp = true;
        await world.until(() => page.db.pending.every((operation) => operation.stored || operation.state !== "waiting"));
        page.tab.kill();
        world.pages = world.pages.filter((other) => other !== page);
        if (world.pages.length === 0) await world.open();
      } else if ("id" in one) world.act(one.kind, page, `n${one.id}`);
    }
    world.network.isUp = true;
    await world.until(() => world.pages.every(({ db, query }) => (
      db.status.state === "live" && db.status.pending === 0 && query.ready
    )));
    const held = [...world.server.rows.get("Note")?.values() ?? []].map((row) => JSON.stringify([row.id, row["text"]])).sort();
    await world.until(() => world.pages.every(({ query }) => (
      JSON.stringify(query.rows.map((row) => JSON.stringify([row.id, row["text"]])).sort()) === JSON.stringify(held)
    )));
    expect(world.server.outcomes.size).toBe(world.made);
    for (const { db } of world.all) db.close();
  }), { numRuns: 30 * Number(process.env["PYLON_TEST_SCALE"] ?? 1) });
}, 600_000);
