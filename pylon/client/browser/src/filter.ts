// Filters over rows, with three values as in the server: only true selects, null is "unknown".

import { compareText, compareValues, isSame, type Comparable } from "./compare.ts";
import { wireError } from "./errors.ts";
import type { FieldManifest, Json, JsonObject, WireError, WireRow } from "./protocol.gen.ts";
import { comparableOf, valueOf, type Schema } from "./schema.ts";

type Truth = boolean | null;
type Test = (row: WireRow) => Truth;

/** Tells whether a row is selected. */
export type Predicate = (row: WireRow) => boolean;

/** Orders rows; the id is always the last key, so that the order is total. */
export type RowOrder = (left: WireRow, right: WireRow) => number;

/** Compiles a filter object. Unknown operators select nothing: the server refuses them. */
export function compileFilter(filter: JsonObject, entity: string, schema: Schema): Predicate {
  const test = compileObject(filter, entity, schema);
  return (row) => test(row) === true;
}

function compileObject(filter: JsonObject, entity: string, schema: Schema): Test {
  const tests = Object.keys(filter).map((name): Test => {
    const value = filter[name] ?? null;
    if (name === "and" || name === "or") {
      const inner = Array.isArray(value) ? value.map((one: Json) => compileAny(one, entity, schema)) : [];
      return name === "and" ? every(inner) : some(inner);
    }
    if (name === "not") return negation(compileAny(value, entity, schema));
    return compileField(schema.field(entity, name), name, value);
  });
  return every(tests);
}

function compileAny(value: Json, entity: string, schema: Schema): Test {
  return isObject(value) ? compileObject(value, entity, schema) : () => null;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function every(tests: readonly Test[]): Test {
  return (row) => {
    let found: Truth = true;
    for (const test of tests) {
      const truth = test(row);
      if (truth === false) return false;
      if (truth === null) found = null;
    }
    return found;
  };
}

function some(tests: readonly Test[]): Test {
  return (row) => {
    let found: Truth = false;
    for (const test of tests) {
      const truth = test(row);
      if (truth === true) return true;
      if (truth === null) found = null;
    }
    return found;
  };
}

function negation(test: Test): Test {
  return (row) => {
    const truth = test(row);
    return truth === null ? null : !truth;
  };
}

function compileField(field: FieldManifest | undefined, name: string, value: Json): Test {
  if (!isObject(value)) return comparison(field, name, "==", value);
  return every(Object.keys(value).map((operator) => comparison(field, name, operator, value[operator] ?? null)));
}

function comparison(field: FieldManifest | undefined, name: string, operator: string, operand: Json): Test {
  switch (operator) {
    case "==":
      if (operand === null) return (row) => valueOf(row, name) === null;
      return equality(field, name, operand);
    case "!=":
      if (operand === null) return (row) => valueOf(row, name) !== null;
      return negation(equality(field, name, operand));
    case "<": return ordering(field, name, operand, (order) => order < 0);
    case "<=": return ordering(field, name, operand, (order) => order <= 0);
    case ">": return ordering(field, name, operand, (order) => order > 0);
    case ">=": return ordering(field, name, operand, (order) => order >= 0);
    case "in": return membership(field, name, operand);
    case "not in": return negation(membership(field, name, operand));
    case "contains": return containment(name, operand);
    case "startsWith": return (row) => {
      const value = valueOf(row, name);
      return typeof value === "string" && typeof operand === "string" ? value.startsWith(operand) : null;
    };
    default: return () => null;
  }
}

function equality(field: FieldManifest | undefined, name: string, operand: Json): Test {
  const right = comparableOf(field, operand);
  return (row) => {
    const value = valueOf(row, name);
    if (value === null) return null;
    const left = comparableOf(field, value);
    if (left === null || right === null) {
      return typeof value === "object" && typeof operand === "object" ? isSame(value, operand) : null;
    }
    const order = compareValues(left, right);
    return order === null ? null : order === 0;
  };
}

function ordering(
  field: FieldManifest | undefined, name: string, operand: Json, decide: (order: number) => boolean,
): Test {
  const right = comparableOf(field, operand);
  return (row) => {
    const left = comparableOf(field, valueOf(row, name));
    const order = left === null || right === null ? null : compareValues(left, right);
    return order === null ? null : decide(order);
  };
}

function membership(field: FieldManifest | undefined, name: string, operand: Json): Test {
  if (!Array.isArray(operand)) return () => null;
  const items = operand as readonly Json[];
  return some([
    // An absent value is unknown even in an empty list, as `null IN ()` would be elsewhere.
    (row) => (valueOf(row, name) === null ? null : false),
    ...items.map((item): Test => (item === null ? () => null : equality(field, name, item))),
  ]);
}

function containment(name: string, operand: Json): Test {
  return (row) => {
    const value = valueOf(row, name);
    if (value === null || operand === null) return null;
    if (typeof value === "string") return typeof operand === "string" ? value.includes(operand) : null;
    if (!Array.isArray(value)) return null;
    if (value.some((item: Json) => isSame(item, operand))) return true;
    return value.includes(null) ? null : false;
  };
}

/** Tells whether a row has all these values: plain equalities, where null matches nothing. */
export function hasValues(row: WireRow, where: JsonObject, entity: string, schema: Schema): boolean {
  return Object.keys(where).every((name) => {
    const operand = where[name] ?? null;
    return operand !== null && equality(schema.field(entity, name), name, operand)(row) === true;
  });
}

/** Returns what is wrong with an order; null where nothing is, as far as the schema is known. */
export function orderMistake(order: readonly string[], entity: string, schema: Schema): WireError | null {
  const name = order.map((text) => text.replace(/^-/, "")).find((one) => schema.lacks(entity, one));
  return name === undefined ? null : wireError("INVALID_ARGUMENT", `${entity} has no field ${name}`);
}

/** Compiles an order: `-` descends, nulls first ascending, `id` ascending last. */
export function compileOrder(order: readonly string[], entity: string, schema: Schema): RowOrder {
  const keys = order.map((text) => {
    const descends = text.startsWith("-");
    const name = descends ? text.slice(1) : text;
    return { name, field: schema.field(entity, name), sign: descends ? -1 : 1 };
  });
  return (left, right) => {
    for (const { name, field, sign } of keys) {
      const found = compareOrdered(orderKey(field, valueOf(left, name)), orderKey(field, valueOf(right, name)));
      if (found !== 0) return sign * found;
    }
    return compareText(left.id, right.id);
  };
}

function orderKey(field: FieldManifest | undefined, value: Json): Comparable | null {
  if (value === null) return null;
  return comparableOf(field, value) ?? JSON.stringify(value);
}

function compareOrdered(left: Comparable | null, right: Comparable | null): number {
  if (left === null || right === null) return left === right ? 0 : left === null ? -1 : 1;
  return compareValues(left, right) ?? compareText(typeof left, typeof right);
}
