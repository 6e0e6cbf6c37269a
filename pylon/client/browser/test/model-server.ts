// A server in memory that follows the protocol, for tests: rows, log, projection for one caller.

import { compileFilter } from "../src/filter.ts";
import type {
  ChangeBatch, Downstream, Entry, Json, JsonObject, Operation, OperationResult, SubscriptionSpec, Upstream, WireRow,
} from "../src/protocol.gen.ts";
import { Schema } from "../src/schema.ts";

interface Record_ {
  readonly seq: number;
  readonly entity: string;
  readonly id: string;
  readonly before: WireRow | undefined;
  /** Set for a slice: the policy changed its mind about the rows of this text. */
  readonly text?: string;
}

const SCHEMA = new Schema(null);

/** The database: one lineage, everybody may read everything that is not hidden. */
export class ModelServer {
  epoch = "e1";
  head = 0;
  readonly rows = new Map<string, Map<string, WireRow>>();
  readonly log: Record_[] = [];
  readonly outcomes = new Map<string, OperationResult>();
  /** Rejects operations that insert this text. */
  refused = "refuse me";
  schema = "h";
  /** Query functions that can be followed; what they throw is the code of an error. */
  functions: Record<string, (args: JsonObject, userId: string | null) => Json> = {};
  /** Rows of these texts are seen by nobody. */
  private readonly hidden = new Set<string>();

  cursor(seq = this.head): string {
    return `${this.epoch}:${seq}`;
  }

  write(entity: string, id: string, values: JsonObject | null): WireRow | null {
    const rows = this.rows.get(entity) ?? new Map<string, WireRow>();
    this.rows.set(entity, rows);
    const before = rows.get(id);
    this.head += 1;
    const row = values === null ? null : { ...before, ...values, id, _seq: this.head };
    if (row === null) rows.delete(id);
    else rows.set(id, row);
    this.log.push({ seq: this.head, entity, id, before });
    return row;
  }

  /** Changes the policy's mind about the rows of a text. */
  turn(text: string): void {
    if (!this.hidden.delete(text)) this.hidden.add(text);
    this.head += 1;
    this.log.push({ seq: this.head, entity: "Note", id: "", before: undefined, text });
  }

  apply(operation: Operation): OperationResult {
    const known = this.outcomes.get(operation.op_id);
    if (known !== undefined) return { ...known, status: "duplicate" };
    const result = this.run(operation);
    this.outcomes.set(operation.op_id, result);
    return result;
  }

  private run({ op_id, fn, args }: Operation): OperationResult {
    const { entity, id, values } = args as { entity: string; id: string; values: JsonObject };
    const existing = this.rows.get(entity)?.get(id);
    const reject = (code: string): OperationResult => ({ op_id, status: "rejected", seq: null, error: { code, message: code } });
    if (fn === "pylon.insert") {
      if (existing !== undefined) return reject("CONFLICT");
      if (values["text"] === this.refused) return reject("POLICY_DENIED");
    } else if (existing === undefined) {
      return reject("NOT_FOUND");
    }
    const value = this.write(entity, id, fn === "pylon.delete" ? null : values) as Json;
    return { op_id, status: "applied", seq: this.head, value };
  }

  /** Returns what the subscriptions give in (after, through], ALGORITHMS §2 rule 6. */
  batch(after: number, through: number, subscriptions: readonly SubscriptionSpec[]): ChangeBatch {
    const changes: Entry[] = [];
    for (const { seq, entity, id, before, text } of this.log) {
      if (seq <= after || seq > through) continue;
      if (text !== undefined) {
        const rows = this.slice(text, subscriptions);
        const half = Math.ceil(rows.length / 2);
        changes.push(refresh(seq, text, rows.slice(0, half), false), refresh(seq, text, rows.slice(half), true));
        continue;
      }
      const now = this.rows.get(entity)?.get(id);
      const common = { seq, entity, row_id: id, tx: seq, at: "2026-11-24T12:00:00.000Z" };
      if (now !== undefined && now._seq === seq && this.isInView(entity, now, subscriptions)) {
        changes.push({ ...common, kind: "insert", row: now });
      } else if (before !== undefined && this.isInView(entity, before, subscriptions)) {
        changes.push({ ...common, kind: "delete", ...(now?._seq === seq ? { cause: "filtered" } : {}) });
      }
    }
    return { after: this.cursor(after), through: this.cursor(through), changes, more: false };
  }

  /** Returns the rows of a text that the subscriptions may see, by id. */
  slice(text: string, subscriptions: readonly SubscriptionSpec[]): WireRow[] {
    return [...this.rows.get("Note")?.values() ?? []]
      .filter((row) => row["text"] === text && this.isInView("Note", row, subscriptions))
      .sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  private isVisible(row: WireRow): boolean {
    return !this.hidden.has(row["text"] as string);
  }

  private isInView(entity: string, row: WireRow, subscriptions: readonly SubscriptionSpec[]): boolean {
    return this.isVisible(row) && subscriptions.some((one) => one.entity === entity && one.limit === undefined
      && compileFilter(one.where ?? {}, entity, SCHEMA)(row));
  }

  select(one: SubscriptionSpec): readonly WireRow[] {
    const { entity = "", where = {} } = one;
    return [...this.rows.get(entity)?.values() ?? []].filter(compileFilter(where, entity, SCHEMA))
      .filter((row) => this.isVisible(row))
      .sort((left, right) => (left.id < right.id ? -1 : 1));
  }
}

function refresh(seq: number, text: string, rows: readonly WireRow[], done: boolean): Entry {
  return { seq, kind: "refresh", entity: "Note", where: { text }, rows, done };
}

/** One connection: frames in, frames out in order; `run` does one piece of waiting work. */
export class ModelConnection {
  readonly out: Downstream[] = [];
  private readonly subscriptions = new Map<string, SubscriptionSpec>();
  private readonly hydrating = new Map<string, string>();
  /** Followed functions, with what was told of each last. */
  private readonly followed = new Map<string, { readonly fn: string; readonly args: JsonObject; told?: string }>();
  private cursor = 0;
  /** The last row that a refresh under way has sent. */
  private pagedTo = "";
  isGreeted = false;

  constructor(private readonly server: ModelServer, private readonly pageRows = 2, readonly userId: string | null = "u1") {}

  receive(message: Upstream): void {
    switch (message.type) {
      case "hello": {
        const { server } = this;
        this.isGreeted = true;
        this.out.push({
          type: "welcome", connection_id: "c", head: server.cursor(), user_id: this.userId, roles: [], schema: server.schema,
          heartbeat_s: 15, limits: {},
        });
        const [epoch, seq] = (message.cursor ?? server.cursor()).split(":");
        this.cursor = Number(seq);
        const isLost = epoch !== server.epoch || this.cursor > server.head;
        if (isLost) {
          this.out.push({ type: "resync", reason: "epoch_changed", head: server.cursor() });
          this.cursor = server.head;
        }
        for (const one of message.subscriptions ?? []) this.add(isLost ? { ...one, have: false } : one);
        return;
      }
      case "subscribe": return this.add(message);
      case "unsubscribe":
        this.subscriptions.delete(message.id);
        this.hydrating.delete(message.id);
        this.followed.delete(message.id);
        this.out.push({ type: "unsubscribed", id: message.id });
        return;
      case "push":
        this.out.push({
          type: "results", request_id: message.request_id, head: this.server.cursor(),
          results: message.operations.map((operation) => this.server.apply(operation)),
        });
        return;
      case "ping": this.out.push({ type: "pong" }); return;
      default:
    }
  }

  private add(one: SubscriptionSpec): void {
    const { id, entity, where, limit, have, fn, args = {} } = one;
    if (fn !== undefined) {
      this.followed.set(id, { fn, args });
      return;
    }
    this.subscriptions.set(id, {
      id, ...(entity === undefined ? {} : { entity }), ...(where === undefined ? {} : { where }),
      ...(limit === undefined ? {} : { limit }),
    });
    if (have === true) return;
    this.hydrating.set(id, typeof have === "object" ? have.after : "");
  }

  /** Queues a page, or the changes so far; false when there is nothing to do. */
  run(kind: "page" | "changes"): boolean {
    const [next] = this.hydrating;
    if (kind === "page") {
      if (next === undefined) return false;
      const [id, after] = next;
      const spec = this.subscriptions.get(id) as SubscriptionSpec;
      const rest = this.server.select(spec).filter((row) => row.id > after);
      const rows = rest.slice(0, this.pageRows);
      const done = rest.length <= this.pageRows;
      this.out.push({ type: "snapshot", subscription: id, entity: spec.entity ?? "", rows, at: this.server.cursor(), done });
      if (done) this.hydrating.delete(id);
      else this.hydrating.set(id, rows.at(-1)?.id ?? "");
      return true;
    }
    if (!this.isGreeted) return false;
    this.tellValues();
    const slice = this.server.log.find(({ seq, text }) => text !== undefined && seq > this.cursor);
    if (slice?.text !== undefined) return this.page(slice.seq, slice.text);
    const isNew = this.cursor < this.server.head;
    this.out.push({ type: "changes", ...this.server.batch(this.cursor, this.server.head, [...this.subscriptions.values()]) });
    this.cursor = this.server.head;
    return isNew || this.hydrating.size > 0;
  }

  private tellValues(): void {
    for (const [subscription, one] of this.followed) {
      let frame: Downstream;
      try {
        const value = this.server.functions[one.fn]?.(one.args, this.userId) ?? null;
        frame = { type: "value", subscription, value, at: this.server.cursor() };
      } catch (error) {
        frame = { type: "error", subscription, error: { code: String(error), message: "no" } };
      }
      const told = JSON.stringify(frame.type === "value" ? frame.value : frame);
      if (told !== one.told) this.out.push(frame);
      one.told = told;
    }
  }

  /** Queues what comes before a refresh, or one page of it; the cursor moves with the last alone. */
  private page(seq: number, text: string): boolean {
    const { server } = this;
    const specs = [...this.subscriptions.values()];
    if (this.cursor < seq - 1) {
      this.out.push({ type: "changes", ...server.batch(this.cursor, seq - 1, specs), more: true });
      this.cursor = seq - 1;
      return true;
    }
    const rest = server.slice(text, specs).filter((row) => row.id > this.pagedTo);
    const rows = rest.slice(0, this.pageRows);
    const done = rest.length <= this.pageRows;
    this.pagedTo = done ? "" : rows.at(-1)?.id ?? "";
    this.cursor = done ? seq : seq - 1;
    this.out.push({
      type: "changes", after: server.cursor(seq - 1), through: server.cursor(this.cursor),
      changes: [refresh(seq, text, rows, done)], more: !done || seq < server.head,
    });
    return true;
  }
}
