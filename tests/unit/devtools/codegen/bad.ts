// Each line below a mark is a mistake that must not compile; a mark without one is an error too.
import { connect } from "/_pylon/client.js";
import { hooksOf } from "/_pylon/react.js";
import type { App } from "./pylon.gen";

export async function misuses(): Promise<void> {
  const db = await connect<App>();

  // @ts-expect-error: no such entity
  db.query("Thin");
  // @ts-expect-error: no such entity
  db.row("thing", "x");
  // @ts-expect-error: no such entity
  await db.insert("Nothing", {});
  // @ts-expect-error: no such entity
  await db.delete("Thinng", "x");
  // @ts-expect-error: no such field to filter by
  db.query("Thing", { where: { titel: "a" } });
  // @ts-expect-error: a private field is not read, nor filtered by
  db.query("Thing", { where: { secret: "a" } });
  // @ts-expect-error: the wrong type in a filter
  db.query("Thing", { where: { count: "1" } });
  // @ts-expect-error: the wrong type in a comparison
  db.query("Thing", { where: { count: { ">": "1" } } });
  // @ts-expect-error: no such operator
  db.query("Thing", { where: { count: { ">>": 1 } } });
  // @ts-expect-error: no such choice
  db.query("Thing", { where: { state: "gone" } });
  // @ts-expect-error: no such choice in a list
  db.query("Thing", { where: { state: { in: ["gone"] } } });
  // @ts-expect-error: no such field, deeper
  db.query("Thing", { where: { or: [{ titel: "a" }] } });
  // @ts-expect-error: no such field to order by
  db.query("Thing", { order: ["-titel"] });
  // @ts-expect-error: a row has no such field
  db.query("Thing").rows[0]?.titel;
  // @ts-expect-error: a row shows no private field
  db.query("Thing").rows[0]?.secret;
  // @ts-expect-error: rows are read-only
  db.query("Thing").rows.forEach((row) => { row.title = "b"; });
  // @ts-expect-error: lists of rows are read-only
  db.query("Thing").rows[0]?.tags.push("a");
  // @ts-expect-error: a field is missing
  await db.insert("Thing", { title: "a" });
  // @ts-expect-error: no such field
  await db.insert("Thing", { title: "a", secret: "s", titel: "b" });
  // @ts-expect-error: the wrong type
  await db.insert("Thing", { title: 1, secret: "s" });
  // @ts-expect-error: the wrong type, a decimal is a text
  await db.insert("Thing", { title: "a", secret: "s", price: 1.5 });
  // @ts-expect-error: null where there must be a value
  await db.insert("Thing", { title: null, secret: "s" });
  // @ts-expect-error: no such choice
  await db.insert("Thing", { title: "a", secret: "s", state: "gone" });
  // @ts-expect-error: the wrong type in a list
  await db.insert("Thing", { title: "a", secret: "s", tags: [1] });
  // @ts-expect-error: _seq is the server's
  await db.insert("Thing", { title: "a", secret: "s", _seq: 1 });
  // @ts-expect-error: no such field
  await db.update("Thing", "x", { titel: "a" });
  // @ts-expect-error: an immutable field
  await db.update("Thing", "x", { ownerId: "u" });
  // @ts-expect-error: the wrong type
  await db.update("Thing", "x", { isOpen: "yes" });
  // @ts-expect-error: no such function
  await db.call("thing");
  // @ts-expect-error: not callable from outside
  await db.call("_hidden");
  // @ts-expect-error: an argument is missing
  await db.call("stream");
  // @ts-expect-error: an argument is missing
  await db.call("stream", {});
  // @ts-expect-error: no such argument
  await db.call("stream", { n: 1, m: 2 });
  // @ts-expect-error: no such argument where there are none
  await db.call("nothing", { n: 1 });
  // @ts-expect-error: the wrong type
  await db.call("stream", { n: "1" });
  // @ts-expect-error: the wrong type inside
  await db.call("move", { id: "x", to: { x: "1" } });
  // @ts-expect-error: another result
  const moved: string = await db.call("move", { id: "x", to: { x: 1 } });
  // @ts-expect-error: no such entity in a guess
  await db.call("nothing", {}, { optimistic: (tx) => tx.insert("Thin", {}) });
  // @ts-expect-error: no such field in a guess
  await db.call("nothing", {}, { optimistic: (tx) => tx.update("Thing", "x", { titel: "a" }) });
  void moved;
}

const { useQuery, useMutation, useCall } = hooksOf<App>();

export function useMistakes(): void {
  // @ts-expect-error: no such entity
  useQuery("Thin");
  // @ts-expect-error: no such field
  useQuery("Thing", { where: { titel: "a" } });
  // @ts-expect-error: a field is missing
  void useMutation("Thing").insert({ title: "a" });
  // @ts-expect-error: no such function
  useCall("thing");
  // @ts-expect-error: an argument is missing
  void useCall("stream").call();
}
