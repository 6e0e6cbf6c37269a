// The order and equality of values, the same as in the server: text by code point, numbers by
// value, decimals and big integers by value though they travel as text, nulls first.

import type { Json } from "./protocol.gen.ts";

/** Compares texts by code point; JavaScript's own order is by UTF-16 unit. */
export function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    let a = left.charCodeAt(at);
    let b = right.charCodeAt(at);
    if (a !== b) {
      // Surrogates stand for code points above all of the basic plane.
      if (a >= 0xd800 && b >= 0xd800) {
        a = a >= 0xe000 ? a - 0x800 : a + 0x2000;
        b = b >= 0xe000 ? b - 0x800 : b + 0x2000;
      }
      return a < b ? -1 : 1;
    }
  }
  return Math.sign(left.length - right.length);
}

/** Returns a decimal's or big integer's text as an integer of its smallest unit, null if it is none. */
export function unitsOf(text: string, scale: number): bigint | null {
  const found = /^([+-]?)([0-9]+)(?:\.([0-9]+))?$/.exec(text);
  if (found?.[2] === undefined) return null;
  const fraction = found[3] ?? "";
  if (fraction.length > scale && /[1-9]/.test(fraction.slice(scale))) return null;
  const units = BigInt(found[2] + fraction.slice(0, scale).padEnd(scale, "0"));
  return found[1] === "-" ? -units : units;
}

/** Orders two comparable values (of one type, neither null); null where they are not comparable. */
export function compareValues(left: Comparable, right: Comparable): number | null {
  if (typeof left === "string" && typeof right === "string") return compareText(left, right);
  if (typeof left !== typeof right) return null;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** What a field's value is compared as. */
export type Comparable = string | number | bigint | boolean;

/** Tells whether two JSON values are the same; the order of keys does not matter. */
export function isSame(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
    return false;
  }
  if (Array.isArray(left) || Array.isArray(right)) {
    return Array.isArray(left) && Array.isArray(right) && left.length === right.length
      && left.every((item: Json, at) => isSame(item, right[at] as Json | undefined));
  }
  const names = Object.keys(left);
  const [one, other] = [left as Record<string, Json>, right as Record<string, Json>];
  return names.length === Object.keys(right).length
    && names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]));
}

/** Returns compact JSON with sorted keys: equal values give equal text. */
export function canonicalJson(value: Json): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(",")}]`;
  const record = value as Record<string, Json>;
  const members = Object.keys(record).sort(compareText)
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(record[name] ?? null)}`);
  return `{${members.join(",")}}`;
}
