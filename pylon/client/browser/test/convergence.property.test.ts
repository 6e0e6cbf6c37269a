// Goal: whatever is lost, doubled or reordered, the replica ends as the server is (I22), and at no
// step does the view lack or double an own mutation (I28).
// Method: the machine against a model server; random schedules from fast-check; gaps are answered
// by pulls, reconnects keep the replica. The policy changes its mind about many rows at once, told
// in pages that break off.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Command } from "../src/events.ts";
import { Machine } from "../src/machine.ts";
import { effectsOf } from "../src/pending.ts";
import type { Downstream, JsonObject, WireRow } from "../src/protocol.gen.ts";
import { View } from "../src/view.ts";
import { ModelConnection, ModelServer } from "./model-server.ts";

const WHERES: readonly JsonObject[] = [{}, { state: "a" }, { state: { "!=": "a" } }, { state: null }];
const IDS = ["r1", "r2", "r3", "r4", "r5", "__proto__", "constructor"];

function suffers(message: Downstream | undefined): boolean {
  return message?.type === "changes" && !message.changes.some(({ kind }) => kind === "refresh");
}

class World {
  readonly server = new ModelServer();
  readonly machine = new Machine(() => 0.5);
  readonly view = new View(this.machine.replica, this.machine.pending);
  connection: ModelConnection | null = null;
  private isOpening = false;
  private pulls: (Command & { type: "pull" })[] = [];
  private operations = 0;
  /** What an own mutation must look like in the view until it is settled. */
  readonly expected = new Map<string, string>();

  constructor() {
    this.step({ type: "started", client_id: "c1" });
  }

  step(event: Parameters<Machine["step"]>[0]): void {
    for (const command of this.machine.step(event)) this.carryOut(command);
  }

  private carryOut(command: Command): void {
    switch (command.type) {
      case "connect": this.isOpening = true; this.connection = null; return;
      case "disconnect": this.connection = null; this.isOpening = false; return;
      case "send": this.connection?.receive(command.message); return;
      case "pull": this.pulls.push(command); return;
      case "load_pending": return;
      default:
    }
  }

  open(): void {
    if (!this.isOpening) {
      if (this.machine.state === "offline") this.step({ type: "fired", timer: "reconnect" });
      return;
    }
    this.isOpening = false;
    this.connection = new ModelConnection(this.server);
    this.step({ type: "opened" });
  }

  deliver(fate: "deliver" | "drop" | "double" | "swap"): void {
    const { connection } = this;
    const message = connection?.out.shift();
    if (message === undefined || connection === null) return;
    // Only batches suffer: the rest of a socket is ordered and whole. So are the pages of a
    // refresh: the cursor waits for the last of them, and could not tell that one is missing.
    if (!suffers(message) || fate === "deliver") return this.step({ type: "received", message });
    if (fate === "drop") return;
    if (fate === "double") this.step({ type: "received", message });
    const next: Downstream | undefined = fate === "swap" && suffers(connection.out[0]) ? connection.out.shift() : undefined;
    if (next !== undefined) this.step({ type: "received", message: next });
    if (this.connection === connection) this.step({ type: "received", message });
  }

  answerPull(): void {
    const pull = this.pulls.shift();
    if (pull === undefined) return;
    const [epoch, seq] = pull.cursor.split(":");
    if (epoch !== this.server.epoch) {
      this.step({ type: "pull_failed", id: pull.id, error: { code: "RESYNC_REQUIRED", message: "" } });
    } else {
      const batch = this.server.batch(Number(seq), this.server.head, pull.subscriptions);
      this.step({ type: "pulled", id: pull.id, batch });
    }
  }

  mutate(fn: string, id: string, text: string): void {
    this.operations += 1;
    const values = { text, state: text < "m" ? "a" : "b" };
    const args: JsonObject = { entity: "Note", id, ...(fn === "pylon.delete" ? {} : { values }) };
    this.step({
      type: "mutated",
      mutation: { op_id: `o${this.operations}`, fn, args, effects: effectsOf(fn, args), at: "", size: 1 },
    });
  }

  quiesce(): void {
    for (let round = 0; round < 200; round++) {
      if (this.connection === null) this.open();
      while ((this.connection?.out.length ?? 0) > 0) this.deliver("deliver");
      this.answerPull();
      this.step({ type: "fired", timer: "push" });
      const isBusy = this.connection?.run("page") === true || this.connection?.run("changes") === true;
      while ((this.connection?.out.length ?? 0) > 0) this.deliver("deliver");
      if (!isBusy && this.pulls.length === 0 && this.machine.state === "live" && this.machine.pending.count === 0) return;
    }
    throw new Error(`no rest: ${this.machine.state}, ${this.machine.pending.count} pending`);
  }

  shown(): WireRow[] {
    return [...this.view.rows("Note")].sort((left, right) => (left.id < right.id ? -1 : 1));
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), id: fc.constantFrom(...IDS), text: fc.constantFrom("a", "b", "x", "y"), gone: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("mutate" as const), fn: fc.constantFrom("pylon.insert", "pylon.update", "pylon.delete"), id: fc.constantFrom(...IDS), text: fc.constantFrom("a", "x", "refuse me") }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("run" as const), kind: fc.constantFrom("page" as const, "changes" as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver" as const), fate: fc.constantFrom("deliver" as const, "deliver" as const, "drop" as const, "double" as const, "swap" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("subscribe" as const), at: fc.nat(WHERES.length - 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unsubscribe" as const), at: fc.nat(WHERES.length - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("open" as const, "pull" as const, "lose" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("turn" as const), text: fc.constantFrom("a", "b", "x", "y") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lineage" as const) }) },
);

describe("a replica", () => {
  test("converges to what its subscriptions may see, whatever happens to the stream", () => {
    fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: "max" }), (steps) => {
      const world = new World();
      const subscribed = new Set<number>();
      let generation = 0;
      for (const one of steps) {
        switch (one.do) {
          case "write": world.server.write("Note", one.id, one.gone ? null : { text: one.text, state: one.text < "m" ? "a" : "b" }); break;
          case "mutate": world.mutate(one.fn, one.id, one.text); break;
          case "run": world.connection?.run(one.kind); break;
          case "deliver": world.deliver(one.fate); break;
          case "subscribe":
            if (!subscribed.has(one.at)) {
              subscribed.add(one.at);
              world.step({ type: "subscribed", id: `s${one.at}_${generation++}`, definition: { entity: "Note", where: WHERES[one.at] ?? {} } });
            }
            break;
          case "unsubscribe":
            subscribed.delete(one.at);
            for (const id of [...world.machine.replica.subscriptions.keys()]) if (id.startsWith(`s${one.at}_`)) world.step({ type: "unsubscribed", id });
            break;
          case "open": world.open(); break;
          case "pull": world.answerPull(); break;
          case "lose":
            if (world.connection !== null) {
              world.connection = null;
              world.step({ type: "lost", code: 1006 });
            }
            break;
          case "turn": world.server.turn(one.text); break;
          case "lineage":
            world.server.epoch = `e${++generation + 10}`;
            break;
          default: one satisfies never;
        }
      }
      world.quiesce();
      const specs = [...world.machine.replica.subscriptions.values()].map(({ id, definition }) => ({ id, entity: definition.entity, where: definition.where }));
      const wanted = new Map(specs.flatMap((spec) => world.server.select(spec)).map((row) => [row.id, row]));
      expect(world.shown()).toEqual([...wanted.values()].sort((left, right) => (left.id < right.id ? -1 : 1)));
      expect(Object.keys(Object.prototype)).toEqual([]);
    }), { numRuns: 1_000 });
  });
});
