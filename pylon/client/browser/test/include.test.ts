// Goal: rows with their neighbours are what a plain look at all rows gives, whatever changes, and
// nothing stays subscribed that no row leads to.

import fc from "fast-check";
import { expect, test } from "vitest";
import { compileFilter } from "../src/filter.ts";
import { Neighbours } from "../src/include.ts";
import { LiveQuery, type QueryHost } from "../src/live.ts";
import { Pending } from "../src/pending.ts";
import type { JsonObject, Manifest, WireRow } from "../src/protocol.gen.ts";
import { Schema } from "../src/schema.ts";
import { keyOf, type Definition } from "../src/subscription.ts";
import { View } from "../src/view.ts";

const entity = (name: string, relations: Manifest["entities"][number]["relations"]) => ({ name, fields: [], relations });
const manifest = {
  app: "a", version: "1", hash: "h", functions: [],
  entities: [
    entity("Note", [{ name: "author", entity: "User", field: "authorId" }]),
    entity("User", [{ name: "friends", entity: "Friend", field: "userId", many: true }]),
    entity("Friend", [{ name: "other", entity: "User", field: "other" }]),
  ],
} as unknown as Manifest;

/** A database in which exactly the rows are there that somebody subscribes to. */
class Host implements QueryHost {
  readonly all = new Map<string, Map<string, WireRow>>([["Note", new Map()], ["User", new Map()], ["Friend", new Map()]]);
  readonly held = new Map<string, { definition: Definition; count: number }>();
  readonly schema = new Schema(manifest);
  private readonly queries = new Set<LiveQuery<never>>();
  readonly view = new View({
    row: (name, id) => [...this.shown(name)].find((row) => row.id === id),
    rows: (name) => this.shown(name),
  }, new Pending());

  private *shown(name: string): Iterable<WireRow> {
    const wants = [...this.held.values()].filter((one) => one.definition.entity === name)
      .map(({ definition }) => compileFilter(definition.where, name, this.schema));
    for (const row of this.all.get(name)?.values() ?? []) if (wants.some((want) => want(row))) yield row;
  }

  acquire(definition: Definition): string {
    const key = keyOf(definition);
    const known = this.held.get(key);
    if (known !== undefined) known.count += 1;
    else this.held.set(key, { definition, count: 1 });
    this.tell(definition.entity);
    return key;
  }

  release(key: string): void {
    const known = this.held.get(key);
    if (known !== undefined && --known.count === 0) this.held.delete(key);
  }

  stateOf(key: string) {
    return this.held.has(key) ? { ids: null, ready: true, error: null } : undefined;
  }

  attach(query: LiveQuery<never>): void { this.queries.add(query); }
  detach(query: LiveQuery<never>): void { this.queries.delete(query); }
  tell(name: string): void {
    for (const query of [...this.queries]) query.refresh(query.definition.entity === name ? undefined : []);
  }
}

const id = fc.constantFrom("a", "b", "c");
const step = fc.oneof(
  fc.record({ entity: fc.constant("Note"), id, values: fc.record({ authorId: fc.option(id) }), gone: fc.boolean() }),
  fc.record({ entity: fc.constant("User"), id, values: fc.record({ name: fc.nat(9) }), gone: fc.boolean() }),
  fc.record({ entity: fc.constant("Friend"), id, values: fc.record({ userId: id, other: id }), gone: fc.boolean() }),
);

function expected(host: Host): JsonObject[] {
  const users = host.all.get("User");
  const friends = [...host.all.get("Friend")?.values() ?? []].sort((one, other) => (one.id < other.id ? -1 : 1));
  return [...host.all.get("Note")?.values() ?? []].sort((one, other) => (one.id < other.id ? -1 : 1)).map((note) => {
    const author = users?.get(note["authorId"] as string);
    const own = friends.filter((one) => one["userId"] === author?.id).map((one) => ({ ...one, other: users?.get(one["other"] as string) ?? null }));
    return { ...note, author: author === undefined ? null : { ...author, friends: own } };
  });
}

test("neighbours are those that a plain look finds, and unchanged rows stay the same", async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
    const host = new Host();
    const query = new LiveQuery<WireRow>(null, { entity: "Note", where: {} });
    query.through(new Neighbours(host, query, ["author.friends.other"]));
    query.keep();
    let seq = 0;
    for (const { entity: name, id: rowId, values, gone } of steps) {
      const before = query.rows;
      if (gone) host.all.get(name)?.delete(rowId);
      else host.all.get(name)?.set(rowId, { id: rowId, _seq: ++seq, ...values });
      host.tell(name);
      for (let turn = 0; turn < 6; turn++) await Promise.resolve();
      expect(query.rows).toEqual(expected(host));
      expect(query.ready).toBe(true);
      for (const row of query.rows) {
        const last = before.find((one) => one.id === row.id);
        if (last !== undefined && JSON.stringify(last) === JSON.stringify(row) && !(name === "Note" && rowId === row.id) && name === "Note") expect(row).toBe(last);
      }
    }
    query.close();
    expect([...host.held]).toEqual([]);
  }), { numRuns: 60 });
});

test("a wrong path is said, with what there is", () => {
  const host = new Host();
  const query = new LiveQuery<WireRow>(null, { entity: "Note", where: {} });
  query.keep();
  query.through(new Neighbours(host, query, ["autor"]));
  expect(query.error?.message).toBe("Note has no relation autor");
  expect(query.error?.hint).toBe("there are author");
  expect(query.ready).toBe(false);
});
