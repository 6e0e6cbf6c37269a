// The machine for the simulator: reads one question a line, writes one answer a line. Asked by
// pylon/testing/simulation/node.py; holds no rule.

import { createInterface } from "node:readline";
import type { Event } from "../src/events.ts";
import { Machine } from "../src/machine.ts";
import type { WireRow } from "../src/protocol.gen.ts";
import { View } from "../src/view.ts";

interface Held {
  readonly machine: Machine;
  readonly view: View;
  random: number[];
}

type Question = { readonly machine: number } & (
  | { readonly type: "new" }
  | { readonly type: "step"; readonly event: Event; readonly random: number[] }
  | { readonly type: "seen" }
  | { readonly type: "rows"; readonly entity: string; readonly of: "base" | "view" }
);

const held = new Map<number, Held>();

function open(): Held {
  const machine: Machine = new Machine(() => one.random.shift() ?? 0.5);
  const one: Held = { machine, view: new View(machine.replica, machine.pending), random: [] };
  return one;
}

function answer(question: Question): unknown {
  if (question.type === "new") {
    held.set(question.machine, open());
    return {};
  }
  const one = held.get(question.machine);
  if (one === undefined) throw new Error(`there is no machine ${question.machine}`);
  const { machine, view } = one;
  const { replica } = machine;
  switch (question.type) {
    case "step":
      one.random = [...question.random];
      return { commands: machine.step(question.event), used: question.random.length - one.random.length };
    case "seen": {
      const ready = Object.fromEntries([...replica.subscriptions.keys()].map((id) => [id, replica.isReady(id)]));
      return {
        state: machine.state, cursor: replica.cursor, shown_cursor: replica.shownCursor,
        pending: machine.pending.count, is_hydrating: replica.isHydrating, ready,
      };
    }
    case "rows": {
      const rows: Iterable<WireRow> = question.of === "base" ? replica.rows(question.entity) : view.rows(question.entity);
      return { rows: [...rows] };
    }
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  let said: unknown;
  try {
    said = answer(JSON.parse(line) as Question);
  } catch (error) {
    said = { failed: error instanceof Error ? error.stack : String(error) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
});
