// Goal: at no step does the view lack an own mutation, double it, or show an older state of it,
// whatever happens to connection, answers and stream (I28).
// Method: one writer, random schedules; after every step of the machine the view must be exactly
// what the writer made. Own writes are the only ones, so that nothing else may explain a change.

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Command, Event } from "../src/events.ts";
import { Machine } from "../src/machine.ts";
import { effectsOf } from "../src/pending.ts";
import type { JsonObject } from "../src/protocol.gen.ts";
import type { Definition } from "../src/subscription.ts";
import { View } from "../src/view.ts";
import { ModelConnection, ModelServer } from "./model-server.ts";

class Writer {
  readonly server = new ModelServer();
  readonly machine = new Machine(() => 0.5);
  readonly view = new View(this.machine.replica, this.machine.pending);
  readonly made = new Map<string, number>();
  private connection: ModelConnection | null = null;
  private asked: (Command & { type: "pull" }) | null = null;
  private isOpening = false;
  private count = 0;
  private isWatching = false;

  constructor(definition: Definition) {
    this.step({ type: "started", client_id: "c1" });
    this.step({ type: "subscribed", id: "s1", definition });
    this.settle();
    this.isWatching = true;
  }

  step(event: Event): void {
    for (const command of this.machine.step(event)) this.carryOut(command);
    if (!this.isWatching) return;
    const shown = new Map([...this.view.rows("Note")].map((row) => [row.id, row["n"]]));
    expect(shown, `after ${JSON.stringify(event)}`).toEqual(this.made);
  }

  private carryOut(command: Command): void {
    if (command.type === "connect") this.isOpening = true;
    if (command.type === "connect" || command.type === "disconnect") this.connection = null;
    if (command.type === "pull") this.asked = command;
    if (command.type === "send") this.connection?.receive(command.message);
  }

  act(kind: "open" | "deliver" | "changes" | "page" | "lose" | "push" | "pull", isLost: boolean): void {
    switch (kind) {
      case "open":
        if (this.machine.state === "offline") this.step({ type: "fired", timer: "reconnect" });
        if (!this.isOpening) return;
        this.isOpening = false;
        this.connection = new ModelConnection(this.server);
        return this.step({ type: "opened" });
      case "deliver": {
        const message = this.connection?.out.shift();
        // Batches may be lost on the way; the next one then is a gap.
        if (message !== undefined && !(isLost && message.type === "changes")) this.step({ type: "received", message });
        return;
      }
      case "changes": case "page": this.connection?.run(kind); return;
      case "lose":
        if (this.connection === null) return;
        this.connection = null;
        return this.step({ type: "lost", code: 1006 });
      case "push": return this.step({ type: "fired", timer: "push" });
      case "pull": {
        const { asked } = this;
        if (asked === null) return;
        this.asked = null;
        const after = Number(asked.cursor.split(":")[1]);
        return this.step({ type: "pulled", id: asked.id, batch: this.server.batch(after, this.server.head, asked.subscriptions) });
      }
    }
  }

  mutate(fn: "insert" | "update" | "delete", row: number): void {
    const id = `r${row}`;
    if ((fn === "insert") === this.made.has(id)) return;
    this.count += 1;
    if (fn === "delete") this.made.delete(id);
    else this.made.set(id, this.count);
    const args: JsonObject = { entity: "Note", id, ...(fn === "delete" ? {} : { values: { n: this.count } }) };
    const name = `pylon.${fn}`;
    this.step({ type: "mutated", mutation: { op_id: `o${this.count}`, fn: name, args, effects: effectsOf(name, args), at: "", size: 1 } });
  }

  settle(): void {
    for (let round = 0; round < 30; round++) {
      this.act("open", false);
      this.act("page", false);
      this.act("changes", false);
      for (let at = 0; at < 20; at++) this.act("deliver", false);
      this.act("push", false);
      this.act("pull", false);
    }
  }
}

const move = fc.oneof(
  { weight: 3, arbitrary: fc.record({ fn: fc.constantFrom("insert" as const, "update" as const, "delete" as const), row: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("open" as const, "deliver" as const, "deliver" as const, "changes" as const, "page" as const, "push" as const, "pull" as const), isLost: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("lose" as const), isLost: fc.boolean() }) },
);

test("the view is what was written here, at every step", () => {
  fc.assert(fc.property(fc.array(move, { minLength: 20, maxLength: 150, size: "max" }), (moves) => {
    const writer = new Writer({ entity: "Note", where: {} });
    for (const one of moves) {
      if ("fn" in one) writer.mutate(one.fn, one.row);
      else writer.act(one.kind, one.isLost);
    }
    writer.settle();
    expect(writer.machine.pending.count).toBe(0);
    expect(new Map([...writer.server.rows.get("Note")?.values() ?? []].map((row) => [row.id, row["n"]]))).toEqual(writer.made);
  }), { numRuns: 500 });
});
