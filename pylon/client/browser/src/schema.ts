// What the client knows of the app's fields, from the manifest: kinds, defaults, scales.

import { unitsOf, type Comparable } from "./compare.ts";
import type { FieldManifest, Json, JsonObject, Manifest, WireRow } from "./protocol.gen.ts";

/** An index of the manifest; without one (not fetched yet) every field is what its JSON is. */
export class Schema {
  private readonly entities = new Map<string, Map<string, FieldManifest>>();
  private readonly functions = new Map<string, string>();
  readonly hash: string | null;

  constructor(readonly manifest: Manifest | null) {
    this.hash = manifest?.hash ?? null;
    for (const entity of manifest?.entities ?? []) {
      this.entities.set(entity.name, new Map(entity.fields.map((field) => [field.name, field])));
    }
    for (const fn of manifest?.functions ?? []) this.functions.set(fn.name, fn.kind);
  }

  /** Returns `query`, `mutation` or `action`; undefined for a function that nobody knows. */
  functionKind(name: string): string | undefined {
    return this.functions.get(name);
  }

  /** Tells whether a function yields parts. */
  streams(name: string): boolean {
    return this.manifest?.functions.some((one) => one.name === name && one.part !== undefined) ?? false;
  }

  field(entity: string, name: string): FieldManifest | undefined {
    return this.entities.get(entity)?.get(name);
  }

  /** Tells whether a known entity lacks a field; of one that nobody described, nothing is lacking. */
  lacks(entity: string, name: string): boolean {
    const fields = this.entities.get(entity);
    return fields !== undefined && name !== "id" && !fields.has(name);
  }

  /** Returns the row with the fields that an older version of the app did not send (PROTOCOL §6). */
  complete(entity: string, row: WireRow): WireRow {
    const fields = this.entities.get(entity);
    if (fields === undefined) return row;
    let missing: [string, Json][] | undefined;
    for (const field of fields.values()) {
      // A guarded field that is absent is not for this caller; its default would be a wrong answer.
      if (Object.hasOwn(row, field.name) || field.guarded === true) continue;
      (missing ??= []).push([field.name, literalDefault(field)]);
    }
    return missing === undefined ? row : { ...row, ...Object.fromEntries(missing) };
  }

  /** Returns the values of an optimistic insert, with what the server will fill in by itself. */
  withDefaults(entity: string, values: JsonObject, now: string, userId: string | null): JsonObject {
    const filled: [string, Json][] = [];
    for (const field of this.entities.get(entity)?.values() ?? []) {
      if (Object.hasOwn(values, field.name)) continue;
      if (field.default?.["now"] === true) filled.push([field.name, field.kind === "date" ? now.slice(0, 10) : now]);
      else if (field.default?.["actor"] === true) filled.push([field.name, userId]);
      else filled.push([field.name, literalDefault(field)]);
    }
    return { ...Object.fromEntries(filled), ...values };
  }
}

function literalDefault(field: FieldManifest): Json {
  return field.default !== undefined && Object.hasOwn(field.default, "value")
    ? field.default["value"] ?? null : null;
}

/** Returns a row's own value of a field; null where it is absent. Inherited names are absent. */
export function valueOf(row: WireRow, name: string): Json {
  return Object.hasOwn(row, name) ? row[name] ?? null : null;
}

/** Returns what a value of a field is compared as; null for lists, objects and what has no order. */
export function comparableOf(field: FieldManifest | undefined, value: Json): Comparable | null {
  switch (typeof value) {
    case "number": case "boolean":
      return value;
    case "string":
      if (field?.kind === "bigint") return unitsOf(value, 0);
      if (field?.kind === "decimal") return unitsOf(value, field.scale ?? 0);
      if (field?.kind === "datetime") return canonicalTime(value);
      return value;
    default:
      return null;
  }
}

const CANONICAL_TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;

function canonicalTime(text: string): string {
  if (CANONICAL_TIME.test(text)) return text;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? text : new Date(ms).toISOString();
}
