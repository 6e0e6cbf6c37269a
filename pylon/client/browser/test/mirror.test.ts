// Goal: a following tab shows what its leader shows, with what was written here over it, in the right order.

import { describe, expect, test } from "vitest";
import { Mirror } from "../src/mirror.ts";
import type { PendingMutation } from "../src/pending.ts";
import type { WireRow } from "../src/protocol.gen.ts";
import type { TabChange, TabState } from "../src/tab-messages.ts";

const row = (id: string, seq: number, text: string): WireRow => ({ id, _seq: seq, text });
const status = { state: "live" as const, pending: 0, error: null, persistent: true };

function state(members: Partial<TabState> = {}): TabState {
  return {
    cursor: "e:1", generation: 0, queries: [], pending: [], stored: [], rejected: [], status, caller: null, manifest: null, ...members,
  };
}

function change(members: Partial<TabChange>): TabChange {
  return { cursor: "e:1", generation: 0, rows: [], queries: [], added: [], gone: [], stored: [], settled: [], ...members };
}

function mutation(op_id: string, kind: "insert" | "update", id: string, text: string): PendingMutation {
  return { op_id, fn: "f", args: {}, at: "", size: 1, effects: [{ kind, entity: "Note", id, values: { text } }] };
}

function texts(mirror: Mirror): readonly unknown[] {
  return [...mirror.view.rows("Note")].map((one) => one["text"]);
}

describe("a mirror", () => {
  test("shows nothing before its copy is whole, and keeps what changed meanwhile", () => {
    const mirror = new Mirror();
    mirror.copy(0, [["Note", row("a", 1, "old")], ["Note", row("b", 1, "b")]]);
    mirror.apply(change({ rows: [["Note", "c", row("c", 3, "new")], ["Note", "d", null]] }));
    mirror.copy(0, [["Note", row("c", 2, "old")], ["Note", row("d", 2, "gone")]]);
    expect(texts(mirror)).toEqual([]);
    mirror.complete(state());
    expect(texts(mirror)).toEqual(["old", "b", "new"]);
  });

  test("drops a copy of a caller who left while it was on its way", () => {
    const mirror = new Mirror();
    mirror.copy(0, [["Note", row("a", 1, "secret")]]);
    mirror.apply(change({ generation: 1 }));
    mirror.copy(0, [["Note", row("b", 1, "secret")]]);
    mirror.complete(state({ generation: 1 }));
    expect(texts(mirror)).toEqual([]);
  });

  test("shows nothing of a caller who left here until the leader has let him go too", () => {
    const mirror = new Mirror();
    mirror.copy(0, [["Note", row("a", 1, "secret")]]);
    mirror.complete(state());
    mirror.leave();
    expect(texts(mirror)).toEqual([]);
    mirror.apply(change({ rows: [["Note", "a", row("a", 2, "secret")]] }));
    expect(texts(mirror)).toEqual([]);
    mirror.apply(change({ generation: 1, rows: [["Note", "b", row("b", 3, "next")]] }));
    expect(texts(mirror)).toEqual(["next"]);
  });

  test("has its own writes behind the leader's, in the order made", () => {
    const mirror = new Mirror();
    mirror.complete(state());
    mirror.mutate(mutation("m1", "insert", "a", "mine"));
    mirror.mutate(mutation("m2", "update", "a", "mine too"));
    const before = mirror.view.row("Note", "a");
    mirror.apply(change({ added: [mutation("m1", "insert", "a", "mine")] }));
    expect(mirror.view.row("Note", "a")).toBe(before);
    mirror.apply(change({ added: [mutation("x1", "update", "a", "another's")] }));
    expect(mirror.pending.all().map((one) => one.op_id)).toEqual(["m1", "x1", "m2"]);
    expect(texts(mirror)).toEqual(["mine too"]);
    mirror.apply(change({ gone: ["m1", "x1"], added: [mutation("m2", "update", "a", "mine too")], rows: [["Note", "a", row("a", 5, "another's")]] }));
    expect(texts(mirror)).toEqual(["mine too"]);
  });

  test("takes a confirmed write out in the step that brings its row", () => {
    const mirror = new Mirror();
    mirror.complete(state());
    mirror.mutate(mutation("m1", "insert", "a", "mine"));
    mirror.apply(change({ added: [{ ...mutation("m1", "insert", "a", "mine"), seq: 2 }] }));
    expect(texts(mirror)).toEqual(["mine"]);
    mirror.apply(change({ gone: ["m1"], rows: [["Note", "a", row("a", 2, "mine")]] }));
    expect([...mirror.view.rows("Note")]).toEqual([row("a", 2, "mine")]);
    expect(mirror.pending.count).toBe(0);
  });

  test("keeps the object of a row that is told again without a change", () => {
    const mirror = new Mirror();
    mirror.copy(0, [["Note", row("a", 1, "same")]]);
    mirror.complete(state());
    const before = mirror.view.row("Note", "a");
    mirror.apply(change({ rows: [["Note", "a", row("a", 1, "same")]] }));
    expect(mirror.view.row("Note", "a")).toBe(before);
    const next = new Mirror((_, one) => mirror.known("Note", one));
    next.copy(0, [["Note", row("a", 1, "same")]]);
    next.complete(state());
    expect(next.view.row("Note", "a")).toBe(before);
  });
});
