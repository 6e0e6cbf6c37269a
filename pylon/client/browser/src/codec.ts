// Frames: text to message and back. A frame that is not what the protocol says is no message at all.

import type { Downstream, Upstream } from "./protocol.gen.ts";

type Shape = Record<string, unknown>;

function isShape(value: unknown): value is Shape {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRow(value: unknown): boolean {
  return isShape(value) && typeof value["id"] === "string" && Number.isSafeInteger(value["_seq"]);
}

function isRows(value: unknown): boolean {
  return Array.isArray(value) && value.every(isRow);
}

function isEntry(value: unknown): boolean {
  if (!isShape(value) || !Number.isSafeInteger(value["seq"]) || typeof value["entity"] !== "string") return false;
  if (value["kind"] === "refresh") return isRows(value["rows"]) && isShape(value["where"]);
  return typeof value["row_id"] === "string" && (value["row"] === undefined || isRow(value["row"]));
}

/** Tells whether a value is a batch, from a frame or from a pull. */
export function isBatch(value: unknown): boolean {
  return isShape(value) && typeof value["after"] === "string" && typeof value["through"] === "string"
    && typeof value["more"] === "boolean" && Array.isArray(value["changes"]) && value["changes"].every(isEntry);
}

function isMessage(value: Shape): boolean {
  switch (value["type"]) {
    case "welcome":
      return typeof value["head"] === "string" && typeof value["heartbeat_s"] === "number"
        && (value["user_id"] === null || typeof value["user_id"] === "string");
    case "snapshot":
      return typeof value["subscription"] === "string" && typeof value["at"] === "string" && isRows(value["rows"]);
    case "changes":
      return isBatch(value);
    case "window":
      return typeof value["subscription"] === "string" && isRows(value["rows"]) && Array.isArray(value["ids"])
        && value["ids"].every((id) => typeof id === "string");
    case "results":
      return typeof value["head"] === "string" && Array.isArray(value["results"])
        && value["results"].every((one) => isShape(one) && typeof one["op_id"] === "string");
    case "resync":
      return typeof value["head"] === "string";
    case "error":
      return isShape(value["error"]) && typeof value["error"]["code"] === "string";
    default:
      return typeof value["type"] === "string";
  }
}

/** Returns the message of a frame, or null where it is none. */
export function decodeDownstream(text: string): Downstream | null {
  try {
    const value: unknown = JSON.parse(text);
    return isShape(value) && isMessage(value) ? (value as unknown as Downstream) : null;
  } catch {
    return null;
  }
}

export function encodeUpstream(message: Upstream): string {
  return JSON.stringify(message);
}
