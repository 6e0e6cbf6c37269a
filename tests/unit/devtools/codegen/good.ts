// What the generated types allow. Compiled by test_app.py, never run.
import { connect, type Database } from "/_pylon/client.js";
import { hooksOf } from "/_pylon/react.js";
import type { App, Date_, Thing } from "./pylon.gen";

export async function uses(): Promise<void> {
  const db: Database<App> = await connect<App>();

  const open = db.query("Thing", {
    where: {
      state: "sent", count: { ">": 1, "<=": 5 }, at: { ">": new Date() }, day: null, parentId: { "!=": null },
      tags: { contains: "a" }, isOpen: true, title: { startsWith: "a" },
      or: [{ id: "x" }, { not: { color: { in: ["red", null] } } }],
    },
    order: ["-at", "title", "id"],
    limit: 10,
  });
  const rows: readonly Thing[] = open.rows;
  const first: Thing | undefined = rows[0];
  const price: string | undefined = first?.price;
  const state: "draft" | "sent" | undefined = first?.state;
  const tags: readonly string[] | undefined = first?.tags;

  const around = db.query("Thing", { where: { state: "sent" }, include: ["parent.owner", "things"] });
  const parentTitle: string | undefined = around.rows[0]?.parent?.title;
  const ownerName: string | null | undefined = around.rows[0]?.parent?.owner?.name;
  const children: readonly Thing[] | undefined = around.rows[0]?.things;
  const found: readonly Thing[] = await db.search("Thing", "words", { limit: 5 });
  const sums = await db.aggregate("Thing", { group: ["state"], aggregates: { total: { sum: "price" } } });

  const made: Thing = await db.insert("Thing", { title: "a", secret: "s" });
  await db.insert("Thing", {
    id: "own", title: "a", secret: "s", at: new Date(), day: "2026-11-23", tags: ["a"], colors: ["red", 'a "b" */'],
    body: null, extra: { any: [1] }, json: [1, null], raw: "AA==", big: "9223372036854775807", ownerId: undefined,
  });
  await db.update("Thing", made.id, { title: "b", secret: "t", parentId: null }, { ifSeq: made._seq });
  await db.delete("Thing", made.id);
  const one: Thing | null = db.row("Thing", "x").row;

  const listed: Thing[] = await db.call("things");
  await db.call("things", { state: "sent", since: new Date() });
  const moved: Thing | null = await db.call("move", { id: "x", to: { x: 1 } }, {
    optimistic: (tx) => {
      const id: string = tx.insert("Thing", { title: "a", secret: "s" });
      tx.update("Thing", id, { title: "b" });
      const now: Thing | undefined = tx.get("Thing", id);
      tx.delete("Thing", now?.id ?? id);
    },
  });
  const dates: Record<string, Date_> = await db.call("dates");
  const nothing: null = await db.call("nothing");
  const streamed: number[] = await db.call("stream", { n: 1 });
  const anything: unknown = await db.call("anything", { value: [1] });
  void [price, state, tags, one, listed, moved, dates, nothing, streamed, anything, parentTitle, ownerName, children, found, sums];
}

const { useQuery, useRow, useMutation, useCall } = hooksOf<App>();

export function useThings(): readonly Thing[] {
  const { rows } = useQuery("Thing", { where: { state: "draft" }, order: ["-at"] });
  const { row } = useRow("Thing", "x");
  const things = useMutation("Thing");
  const { call, value } = useCall("stream");
  void things.insert({ title: row?.title ?? "", secret: "s" }).then((made: Thing) => things.update(made.id, { count: 1 }));
  void call({ n: 1 }, { onPart: () => undefined }).then((numbers: number[]) => numbers.length + (value?.length ?? 0));
  return rows;
}

export async function sum(db: Database<App>): Promise<number> {
  let all = 0;
  for await (const part of db.stream("stream", { n: 3 }, { signal: AbortSignal.timeout(9) })) all += part;
  return all;
}
