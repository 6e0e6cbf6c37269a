// Goal: an upload ends with the file whole, whatever happens on the way, and tells the truth about how far it is.

import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PylonError, wireError } from "../src/errors.ts";
import { Requests } from "../src/requests.ts";
import {
  PIECE_BYTES_MAX, PIECE_BYTES_MIN, UploadMachine, WHOLE_BYTES_MAX, type FileObject, type UploadEffect, type UploadEvent,
  type UploadFailure,
} from "../src/upload-machine.ts";
import { upload } from "../src/upload.ts";

const MIB = 1 << 20;
const made = (size: number): FileObject => ({ id: "f", url: "/api/files/f", size, type: "t", sha256: "s", name: "n" });
const failure = (code: string, details: Record<string, unknown> = {}): UploadFailure => ({ code, details, retryAfter: undefined });
const offline = failure("UNAVAILABLE");

/** The server's side of the wire, as one that loses answers, forgets bytes, and drops what is old. */
class ModelUploads {
  offset = 0;
  isThere = false;
  isDone = false;

  answer(effect: UploadEffect, size: number): UploadEvent {
    switch (effect.type) {
      case "post":
        this.isDone = true;
        return { type: "reached", offset: size, file: made(size) };
      case "begin":
        this.isThere = true;
        this.offset = 0;
        return { type: "begun", url: "u" };
      case "ask":
        if (!this.isThere) return { type: "failed", error: failure("NOT_FOUND") };
        return { type: "reached", offset: this.offset, file: this.isDone ? made(size) : null };
      case "send":
        if (!this.isThere) return { type: "failed", error: failure("NOT_FOUND") };
        if (effect.from !== this.offset) return { type: "failed", error: failure("CONFLICT", { offset: this.offset }) };
        expect(effect.to).toBeLessThanOrEqual(size);
        expect(effect.to - effect.from).toBeLessThanOrEqual(PIECE_BYTES_MAX);
        this.offset = effect.to;
        this.isDone = this.offset === size;
        return { type: "reached", offset: this.offset, file: this.isDone ? made(size) : null, ms: 1 };
      default:
        throw new Error(effect.type);
    }
  }
}

const TROUBLE = ["none", "lost answer", "lost request", "part came", "forgets", "dropped", "offline and on"] as const;

test("whatever happens on the way, the file is whole at the end and progress never goes back", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 40 * MIB }), fc.array(fc.constantFrom(...TROUBLE), { maxLength: 30 }),
    (size, troubles) => {
      const server = new ModelUploads();
      const machine = new UploadMachine(size, () => 0.5);
      let drops = 0;
      let shown = -1;
      let resolved: FileObject | null = null;
      const todo: UploadEffect[] = machine.step({ type: "start", url: null });
      for (let steps = 0; todo.length > 0; steps += 1) {
        expect(steps).toBeLessThan(2_000);
        const effect = todo.shift()!;
        if (effect.type === "progress") {
          expect(effect.loaded).toBeGreaterThan(shown);
          expect(effect.loaded).toBeLessThanOrEqual(size);
          shown = effect.loaded;
        } else if (effect.type === "resolve") resolved = effect.file;
        else if (effect.type === "reject") throw new Error(effect.error.code);
        else if (effect.type === "wait") todo.push(...machine.step({ type: "woken" }));
        else if (effect.type !== "remember" && effect.type !== "forget" && effect.type !== "drop") {
          const trouble = troubles.shift() ?? "none";
          if (trouble === "part came" && effect.type === "send" && effect.from === server.offset) {
            server.offset += Math.floor((effect.to - effect.from) / 2);
          }
          if (trouble === "forgets" && !server.isDone) server.offset = Math.floor(server.offset / 2);
          if (trouble === "dropped" && !server.isDone && (drops += 1) <= 3) server.isThere = false;
          if (trouble === "offline and on") {
            todo.push(...machine.step({ type: "offline" }), ...machine.step({ type: "failed", error: offline }));
            expect(machine.step({ type: "woken" })).toEqual([]);
            todo.push(...machine.step({ type: "online" }));
            continue;
          }
          const isLost = trouble === "lost request" || trouble === "part came";
          const answer = isLost ? { type: "failed", error: offline } as const : server.answer(effect, size);
          todo.push(...machine.step(trouble === "lost answer" ? { type: "failed", error: offline } : answer));
        }
      }
      expect(resolved).toEqual(made(size));
      expect(shown).toBe(size);
      expect(server.isDone).toBe(true);
      expect(machine.step({ type: "aborted" })).toEqual([]);
    },
  ));
});

test("small files go whole, pieces follow the network, and a remembered upload is asked first", () => {
  expect(new UploadMachine(WHOLE_BYTES_MAX, Math.random).step({ type: "start", url: null }).at(-1)).toEqual({ type: "post" });
  const machine = new UploadMachine(100 * MIB, Math.random);
  expect(machine.step({ type: "start", url: "u" }).at(-1)).toEqual({ type: "ask", url: "u" });
  const length = (effects: UploadEffect[]): number => {
    const last = effects.at(-1);
    return last?.type === "send" ? last.to - last.from : -1;
  };
  let piece = length(machine.step({ type: "reached", offset: 5, file: null }));
  for (let n = 1; n < 8; n += 1) {
    const next = length(machine.step({ type: "reached", offset: 5 + n, file: null, ms: 10 }));
    expect(next).toBe(Math.min(piece * 2, PIECE_BYTES_MAX));
    piece = next;
  }
  for (let n = 0; n < 12; n += 1) piece = length(machine.step({ type: "reached", offset: 50, file: null, ms: 9_000 }));
  expect(piece).toBe(PIECE_BYTES_MIN);
});

test.each([
  ["PAYLOAD_TOO_LARGE", {}], ["QUOTA_EXCEEDED", {}], ["UNAUTHENTICATED", {}], ["UNAVAILABLE", { reason: "disk_full" }],
  ["UNAVAILABLE", { reason: "files_full" }], ["NOT_FOUND", {}], ["CONFLICT", {}],
])("what does not pass by itself is not tried again: %s %o", (code, details) => {
  const machine = new UploadMachine(10, Math.random);
  machine.step({ type: "start", url: null });
  expect(machine.step({ type: "failed", error: failure(code, details) })).toEqual([
    { type: "reject", error: failure(code, details) },
  ]);
});

test("given up, what came is removed and nothing more is sent", () => {
  const machine = new UploadMachine(10 * MIB, Math.random);
  machine.step({ type: "start", url: null });
  machine.step({ type: "begun", url: "u" });
  expect(machine.step({ type: "aborted" })).toEqual([{ type: "drop", url: "u" }, { type: "forget" }]);
  expect(machine.step({ type: "reached", offset: 1, file: null })).toEqual([]);
});

// --- the shell

let asked: string[];
let stored: Uint8Array;
let answers: ((path: string, options: RequestInit) => Promise<Response | undefined>) | null;
const requests = new Requests("http://localhost:4321", undefined, { WebSocket: undefined as unknown as typeof WebSocket, fetch: async (given, options = {}) => {
  const path = new URL(String(given)).pathname;
  asked.push(`${options.method} ${path}`);
  const early = await answers?.(path, options);
  if (early !== undefined) return early;
  const headers = new Headers(options.headers);
  if (path === "/api/files" && !headers.has("Upload-Length")) return json(201, made((options.body as Blob).size));
  if (path === "/api/files") {
    stored = new Uint8Array(Number(headers.get("Upload-Length")));
    reached = 0;
    return json(201, { upload: "1", url: "/api/files/uploads/1", offset: 0 });
  }
  if (options.method === "DELETE") return new Response(null, { status: 204 });
  if (options.method === "GET") return json(200, { offset: reached, length: stored.length });
  const piece = new Uint8Array(options.body as ArrayBuffer);
  expect(headers.get("Content-Type")).toBe("application/octet-stream");
  expect(Number(headers.get("Upload-Offset"))).toBe(reached);
  stored.set(piece, reached);
  reached += piece.length;
  return reached === stored.length ? json(201, made(reached)) : json(200, { offset: reached });
} });
let reached = 0;
const json = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });
const memory = new Map<string, string>();

beforeEach(() => {
  asked = [];
  answers = null;
  reached = 0;
  memory.clear();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => memory.get(key) ?? null,
    setItem: (key: string, value: string) => memory.set(key, value),
    removeItem: (key: string) => memory.delete(key),
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const bytes = Uint8Array.from({ length: 3 * MIB }, (_, n) => (n * 7 + (n >> 9)) % 251);
const big = new File([bytes], "große Katze.png", { type: "image/png", lastModified: 1 });

test("a connection that is cut is asked how far it came, and goes on from there", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  let cuts = 0;
  answers = async (_, { method }) => {
    if (method !== "PATCH" || reached === 0 || cuts > 0) return undefined;
    cuts += 1;
    throw new TypeError("network");
  };
  const seen: number[] = [];
  const done = upload(requests, big, { onProgress: ({ loaded }) => seen.push(loaded) }, "k");
  await vi.waitFor(() => expect(cuts).toBe(1));
  expect([...memory.values()]).toEqual(["/api/files/uploads/1"]);
  expect([...memory.keys()][0]).not.toContain("Katze");
  let made: FileObject | undefined;
  void done.then((file) => { made = file; });
  await vi.waitFor(() => expect(made).toBeDefined());
  expect((await done).size).toBe(bytes.length);
  expect(Buffer.compare(stored, bytes)).toBe(0);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(bytes.length);
  expect(asked.filter((one) => one.startsWith("GET"))).toHaveLength(1);
  expect(memory.size).toBe(0);
});

test("after a reload the same file goes on where it was", async () => {
  answers = async (_, { method }) => (method === "PATCH" && reached > MIB ? new Promise<never>(() => undefined) : undefined);
  void upload(requests, big, {}, "k").catch(() => undefined);
  await vi.waitFor(() => expect(reached).toBeGreaterThan(MIB));
  const again = memory.size;
  vi.resetModules();
  const { upload: fresh } = await import("../src/upload.ts");
  answers = null;
  asked = [];
  await fresh(requests, big, {}, "k2");
  expect(again).toBe(1);
  expect(asked[0]).toBe("GET /api/files/uploads/1");
  expect(Buffer.compare(stored, bytes)).toBe(0);
});

test("aborting ends it at once, with the signal's reason, and removes what came", async () => {
  const own = new AbortController();
  answers = async (_, { method, signal }) => (method !== "PATCH" ? undefined : new Promise<never>((_resolve, reject) => {
    signal!.addEventListener("abort", () => reject(signal!.reason as Error));
    own.abort();
  }));
  const done = upload(requests, new Blob([bytes]), { signal: own.signal }, "k");
  expect(await done.catch((error: unknown) => error)).toBe(own.signal.reason);
  expect(own.signal.aborted).toBe(true);
  expect(asked.at(-1)).toBe("DELETE /api/files/uploads/1");
  await expect(upload(requests, big, { signal: own.signal }, "k")).rejects.toBe(own.signal.reason);
});

test("the server's refusal and a listener that throws reach the page, each in its way", async () => {
  answers = async () => json(413, { error: wireError("QUOTA_EXCEEDED", "too much") });
  const refused = await upload(requests, new Blob(["x"]), {}, "k").catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(PylonError);
  expect(refused).toMatchObject({ code: "QUOTA_EXCEEDED", message: "too much" });
  answers = null;
  const thrown: unknown[] = [];
  vi.stubGlobal("reportError", (error: unknown) => thrown.push(error));
  const onProgress = (): void => { throw new Error("mine"); };
  expect((await upload(requests, new Blob(["x"]), { onProgress, name: "a" }, "k")).size).toBe(1);
  expect(thrown).toContainEqual(new Error("mine"));
});
