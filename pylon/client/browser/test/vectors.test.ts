// Goal: this machine and the Python one are the same machine.
// Method: replay the transcripts in tests/vectors, which the Python machine recorded.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Command, Event } from "../src/events.ts";
import { Machine } from "../src/machine.ts";
import type { WireRow } from "../src/protocol.gen.ts";
import { View } from "../src/view.ts";

const FOLDER = join(import.meta.dirname, "../../../../tests/vectors/machine");

interface Vector {
  readonly name: string;
  readonly goal: string;
  readonly random: readonly number[];
  readonly steps: readonly {
    readonly event: Event;
    readonly commands: readonly unknown[];
    readonly view: Readonly<Record<string, readonly WireRow[]>>;
    readonly ready: readonly string[];
    readonly values?: Readonly<Record<string, unknown>>;
  }[];
}

const byText = (left: unknown, right: unknown): number => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1);

/** Puts lists whose order means nothing into one order, as the recorder does. */
function normal(command: Command): unknown {
  if (command.type === "publish") {
    return { ...command, changes: command.changes.map(([entity, ids]) => [entity, [...ids].sort()]).sort(byText) };
  }
  if (command.type !== "save") return command;
  const puts = [...command.save.puts].sort((left, right) => byText([left[0], left[1].id], [right[0], right[1].id]));
  return { ...command, save: { ...command.save, puts, deletes: [...command.save.deletes].sort(byText) } };
}

describe("the machine reproduces the recorded transcripts", () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  test("there are transcripts", () => expect(names.length).toBeGreaterThan(10));
  test.each(names)("%s", (name) => {
    const vector = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as Vector;
    let drawn = 0;
    const machine = new Machine(() => vector.random[drawn++ % vector.random.length] ?? 0);
    const view = new View(machine.replica, machine.pending);
    vector.steps.forEach((step, at) => {
      const commands = machine.step(step.event).map(normal);
      const place = `${vector.name}, step ${at}: ${JSON.stringify(step.event).slice(0, 200)}`;
      expect(JSON.parse(JSON.stringify(commands)), place).toEqual(step.commands);
      for (const [entity, rows] of Object.entries(step.view)) {
        expect([...view.rows(entity)].sort((left, right) => (left.id < right.id ? -1 : 1)), place).toEqual(rows);
      }
      const ready = [...machine.replica.subscriptions.keys()].filter((id) => machine.replica.isReady(id)).sort();
      expect(ready, place).toEqual(step.ready);
      const values = machine.values.all().filter(({ value, error }) => value !== undefined || error !== null)
        .map(({ id, value, error }) => [id, error === null ? { value } : { error }]);
      expect(Object.fromEntries(values), place).toEqual(step.values ?? {});
    });
  });
});
