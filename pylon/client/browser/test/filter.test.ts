// Goal: filters and orders mean what they mean in Python, and there what they mean in the server.
// Method: replay tests/vectors/filters.json; then hostile names, which must harm nothing (I97).

import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { canonicalJson, compareText, isSame } from "../src/compare.ts";
import { compileFilter, compileOrder, hasValues } from "../src/filter.ts";
import type { JsonObject, Manifest, WireRow } from "../src/protocol.gen.ts";
import { Schema } from "../src/schema.ts";

const PATH = join(import.meta.dirname, "../../../../tests/vectors/filters.json");

interface Vector {
  readonly manifest: Manifest;
  readonly rows: readonly WireRow[];
  readonly filters: readonly { where: JsonObject; ids: readonly string[] }[];
  readonly orders: readonly { order: readonly string[]; ids: readonly string[] }[];
}

const vector = JSON.parse(readFileSync(PATH, "utf8")) as Vector;
const schema = new Schema(vector.manifest);

describe("the recorded cases", () => {
  test.each(vector.filters.map((one) => [JSON.stringify(one.where), one] as const))("%s", (_, { where, ids }) => {
    expect(vector.rows.filter(compileFilter(where, "Note", schema)).map((row) => row.id)).toEqual(ids);
  });
  test.each(vector.orders.map((one) => [JSON.stringify(one.order), one] as const))("order %s", (_, { order, ids }) => {
    expect([...vector.rows].sort(compileOrder(order, "Note", schema)).map((row) => row.id)).toEqual(ids);
  });
});

test("text is ordered by code point", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (left, right) => {
    const [one, other] = [[...left], [...right]].map((text) => text.map((unit) => unit.codePointAt(0) ?? 0));
    const at = one?.findIndex((point, index) => point !== other?.[index]) ?? -1;
    const expected = at === -1 ? Math.sign((one?.length ?? 0) - (other?.length ?? 0))
      : other?.[at] === undefined ? 1 : (one?.[at] ?? 0) < (other[at] ?? 0) ? -1 : 1;
    expect(compareText(left, right)).toBe(expected);
  }));
});

test("equal values have equal canonical text, whatever the order of their keys", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const turned = JSON.parse(JSON.stringify(value), (_, inner: unknown) => (
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).reverse()) : inner)) as typeof value;
    expect(canonicalJson(turned as never)).toBe(canonicalJson(value as never));
    expect(isSame(turned as never, JSON.parse(JSON.stringify(value)) as never)).toBe(true);
  }));
});

test("a slice with null matches nothing", () => {
  expect(hasValues({ id: "a", _seq: 1, text: null }, { text: null }, "Note", schema)).toBe(false);
});

test("inherited names are absent fields", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
  for (const name of names) {
    const where = JSON.parse(`{${JSON.stringify(name)}: {"!=": null}}`) as JsonObject;
    const row: WireRow = { id: "a", _seq: 1 };
    expect(compileFilter(where, "Note", schema)(row), name).toBe(false);
    const owning = JSON.parse(`{"id":"a","_seq":1,${JSON.stringify(name)}:"x"}`) as WireRow;
    expect(compileFilter(where, "Note", schema)(owning), name).toBe(true);
    expect(schema.complete(name, row)).toBe(row);
  }
});

test("a guarded field that did not come is absent, and not its default", () => {
  const field = { kind: "int", type: "number" };
  const known = new Schema({
    app: "a", version: "1", hash: "h", functions: [],
    entities: [{ name: "Person", fields: [
      { ...field, name: "rank", default: { value: 3 } },
      { ...field, name: "pay", default: { value: 0 }, guarded: true },
    ] }],
  });
  expect(known.complete("Person", { id: "a", _seq: 1 })).toEqual({ id: "a", _seq: 1, rank: 3 });
});
