// Goal: a result that is kept current row by row is the one that sorting anew would give, and rows
// that did not change keep their identity.

import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { compileFilter, compileOrder } from "../src/filter.ts";
import { LiveQuery, Result } from "../src/live.ts";
import { Pending } from "../src/pending.ts";
import type { Manifest, WireRow } from "../src/protocol.gen.ts";
import { Replica } from "../src/replica.ts";
import { Schema } from "../src/schema.ts";
import { View } from "../src/view.ts";

const change = fc.record({ id: fc.constantFrom(..."abcdefgh"), n: fc.option(fc.nat(3)), gone: fc.boolean() });

test("moving row by row gives what sorting anew gives", () => {
  fc.assert(fc.property(fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 40 }), (batches) => {
    const replica = new Replica();
    const schema = new Schema(null);
    const view = new View(replica, new Pending());
    const definition = { entity: "Note", where: { n: { "!=": null } }, order: ["-n"] };
    replica.startAt("e:0");
    replica.subscribe("s1", { entity: "Note", where: {} });
    const result = new Result(view, definition, schema);
    let seq = 0;
    for (const batch of batches) {
      const before = new Map(result.rows.map((row) => [row.id, row]));
      const after = `e:${seq}`;
      const changes = batch.map(({ id, n, gone }) => {
        seq += 1;
        const common = { seq, entity: "Note", row_id: id, tx: seq, at: "" };
        return gone ? { ...common, kind: "delete" as const } : { ...common, kind: "update" as const, row: { id, n, _seq: seq } };
      });
      replica.apply({ after, through: `e:${seq}`, changes, more: false });
      const touched = replica.takeTouched().get("Note") ?? new Set<string>();
      result.update([...touched], null);
      const wants = compileFilter(definition.where, "Note", schema);
      const expected = [...view.rows("Note")].filter(wants).sort(compileOrder(definition.order, "Note", schema));
      expect(result.rows).toEqual(expected);
      for (const row of result.rows) if (!touched.has(row.id)) expect(row).toBe(before.get(row.id));
    }
  }));
});

test("a change to one of 10,000 rows is taken in fast", () => {
  const replica = new Replica();
  const view = new View(replica, new Pending());
  replica.startAt("e:0");
  replica.subscribe("s1", { entity: "Note", where: {} });
  const rows = Array.from({ length: 10_000 }, (_, at): WireRow => ({ id: `r${at}`, _seq: 1, n: (at * 7919) % 10_000 }));
  replica.page({ type: "snapshot", subscription: "s1", entity: "Note", rows, at: "e:1", done: true });
  const result = new Result(view, { entity: "Note", where: { n: { ">=": 0 } }, order: ["n"] }, new Schema(null));
  result.update(undefined, null);
  const times: number[] = [];
  for (let seq = 2; seq < 52; seq++) {
    const started = performance.now();
    const row = { id: `r${seq}`, _seq: seq, n: seq * 100 };
    replica.apply({
      after: replica.cursor ?? "", through: `e:${seq}`, more: false,
      changes: [{ seq, entity: "Note", row_id: row.id, kind: "update", row, tx: seq, at: "" }],
    });
    result.update([row.id], null);
    times.push(performance.now() - started);
  }
  expect(times.sort((a, b) => a - b)[25]).toBeLessThan(2);
});

test("a window shows its list in order, with own rows among them, and no more than its limit", () => {
  const replica = new Replica();
  const pending = new Pending();
  const view = new View(replica, pending);
  const definition = { entity: "Note", where: {}, order: ["-n"], limit: 2 };
  replica.startAt("e:5");
  replica.subscribe("w", definition);
  replica.window({
    type: "window", subscription: "w", ids: ["b", "a"], at: "e:5", version: 0,
    rows: [{ id: "a", n: 1, _seq: 1 }, { id: "b", n: 2, _seq: 2 }],
  });
  const result = new Result(view, definition, new Schema(null));
  const list = (): readonly string[] => {
    result.update(undefined, replica.subscriptions.get("w")?.ids ?? null);
    return result.rows.map((row) => row.id);
  };
  expect(list()).toEqual(["b", "a"]);
  pending.add({
    op_id: "o", fn: "pylon.insert", args: {}, at: "", size: 1,
    effects: [{ kind: "insert", entity: "Note", id: "c", values: { n: 3 } }],
  });
  expect(list()).toEqual(["c", "b"]);
});

test("a slip in the order is an error, and said where every page can see it", () => {
  const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const manifest = (fields: string[]): Manifest => ({
    app: "notes", hash: "h", functions: [],
    entities: [{ name: "Note", fields: fields.map((name) => ({ name, kind: "text", type: "string" })) }],
  } as unknown as Manifest);
  const host = {
    view: new View(new Replica(), new Pending()), schema: new Schema(null),
    stateOf: () => undefined, acquire: () => "s1", release: () => undefined,
    attach: () => undefined, detach: () => undefined,
  };
  const query = new LiveQuery(host, { entity: "Note", where: {}, order: ["-writenAt", "id"] }).keep();
  expect(query.error).toBeNull(); // nothing is known of the fields yet
  host.schema = new Schema(manifest(["writtenAt"]));
  query.recompile();
  query.refresh(undefined);
  expect(query.error).toMatchObject({ code: "INVALID_ARGUMENT", message: "Note has no field writenAt" });
  expect(said).toHaveBeenCalledTimes(1);
  host.schema = new Schema(manifest(["writtenAt", "writenAt"]));
  query.recompile();
  expect(query.error).toBeNull();
  said.mockRestore();
});

test("a window is cut anew only for rows that it shows, lists or may show", () => {
  const replica = new Replica();
  const pending = new Pending();
  const view = new View(replica, pending);
  replica.startAt("e:0");
  replica.subscribe("s1", { entity: "Note", where: {} });
  const rows = Array.from({ length: 20 }, (_, at): WireRow => ({ id: `r${at}`, _seq: 1, n: at }));
  replica.page({ type: "snapshot", subscription: "s1", entity: "Note", rows, at: "e:1", done: true });
  const result = new Result(view, { entity: "Note", where: { n: { "<": 10 } }, order: ["n"], limit: 2 }, new Schema(null));
  result.update(undefined, ["r0", "r1"]);
  const read = vi.spyOn(view, "pendingRows");
  expect(result.update(["r15", "r19"], ["r0", "r1"])).toBe(false);
  expect(read).not.toHaveBeenCalled();
  pending.add({
    op_id: "o1", fn: "pylon.insert", args: {}, at: "", size: 1,
    effects: [{ kind: "insert", entity: "Note", id: "new", values: { n: -1 } }],
  });
  expect(result.update(["new"], ["r0", "r1"])).toBe(true);
  expect(result.rows.map((row) => row.id)).toEqual(["new", "r0"]);
});
