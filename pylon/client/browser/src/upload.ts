// Uploads, in a file of their own that a page loads with its first one: the shell around the machine.

import { digest } from "./digest.ts";
import type { PylonError } from "./errors.ts";
import { guarded } from "./observed.ts";
import type { Requests } from "./requests.ts";
import type { UploadOptions } from "./types.ts";
import { UploadMachine, type FileObject, type UploadEffect, type UploadEvent } from "./upload-machine.ts";

/** A request that takes longer is asked about: pieces are as long as a few seconds carry. */
const REQUEST_MS_MAX = 60_000;
/** Uploads of this page by what is uploaded: a second one of the same file is one of its own. */
const active = new Set<string>();

/** Uploads a file; see `Database.upload`. `key` keeps a request that is sent twice from storing twice. */
export async function upload(requests: Requests, file: Blob, options: UploadOptions, key: string): Promise<FileObject> {
  const { signal, onProgress } = options;
  const name = options.name ?? (file instanceof File ? file.name : "");
  const type = options.type ?? (file.type || "application/octet-stream");
  const memory = memoryOf(file, name, type);
  const machine = new UploadMachine(file.size, Math.random);
  const headers = { "Content-Type": type, ...(name === "" ? {} : { "X-Filename": encodeURIComponent(name) }) };
  const inFlight = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;

  signal?.throwIfAborted();
  return new Promise<FileObject>((resolve, reject) => {
    const dispatch = (event: UploadEvent): void => machine.step(event).forEach(perform);
    const online = (): void => dispatch({ type: "online" });
    const offline = (): void => dispatch({ type: "offline" });
    const aborted = (): void => {
      inFlight.abort();
      dispatch({ type: "aborted" });
      end(() => reject(signal!.reason));
    };
    const end = (tell: () => void): void => {
      clearTimeout(timer);
      memory.leave();
      signal?.removeEventListener("abort", aborted);
      if (typeof removeEventListener === "function") {
        removeEventListener("online", online);
        removeEventListener("offline", offline);
      }
      tell();
    };

    /** Sends a request; tells what it answers, or how it failed. */
    const ask = async (path: string, given: RequestInit, take: (answer: any) => UploadEvent): Promise<void> => {
      let event: UploadEvent;
      try {
        const limit = AbortSignal.timeout(REQUEST_MS_MAX);
        event = take(await requests.send(path, { ...given, signal: AbortSignal.any([inFlight.signal, limit]) }));
      } catch (error) {
        const { code = "INTERNAL", details = {}, retryAfter } = error as PylonError;
        failed = error;
        event = { type: "failed", error: { code, details, retryAfter } };
      }
      dispatch(event);
    };
    let failed: unknown;

    const send = async (url: string, from: number, to: number): Promise<void> => {
      const began = performance.now();
      let body: ArrayBuffer;
      try {
        body = await file.slice(from, to).arrayBuffer();
      } catch (error) {
        failed = error; // the file was changed or removed meanwhile
        return dispatch({ type: "failed", error: { code: "UNREADABLE", details: {}, retryAfter: undefined } });
      }
      const piece = { "Content-Type": "application/octet-stream", "Upload-Offset": String(from) };
      await ask(url, { method: "PATCH", body, headers: piece }, (answer) => (
        { type: "reached", ms: performance.now() - began, ...reachedOf(answer) }
      ));
    };

    const perform = (effect: UploadEffect): void => {
      switch (effect.type) {
        case "post":
          return void ask("/api/files", { method: "POST", body: file, headers: { ...headers, "Idempotency-Key": key } },
            (answer) => ({ type: "reached", ...reachedOf(answer) }));
        case "begin":
          return void ask("/api/files?resumable=1", { method: "POST", headers: { ...headers, "Upload-Length": String(file.size) } },
            ({ url }) => ({ type: "begun", url }));
        case "ask":
          return void ask(effect.url, { method: "GET" }, ({ offset, file: whole = null }) => ({ type: "reached", offset, file: whole }));
        case "send":
          return void send(effect.url, effect.from, effect.to);
        case "drop":
          return void requests.send(effect.url, { method: "DELETE" }).catch(() => undefined);
        case "wait":
          timer = setTimeout(() => dispatch({ type: "woken" }), effect.ms);
          return;
        case "remember":
          return memory.set(effect.url);
        case "forget":
          return memory.set(null);
        case "progress":
          return guarded(() => onProgress?.({ loaded: effect.loaded, total: file.size }));
        case "resolve":
          return end(() => resolve(effect.file));
        case "reject":
          return end(() => reject(failed));
      }
    };

    signal?.addEventListener("abort", aborted);
    if (typeof addEventListener === "function") {
      addEventListener("online", online);
      addEventListener("offline", offline);
      if (navigator.onLine === false) offline();
    }
    dispatch({ type: "start", url: memory.url });
  });
}

/** Reads an answer to a piece: how far it is, or the file. */
function reachedOf(answer: any): { offset: number; file: FileObject | null } {
  return typeof answer?.sha256 === "string" ? { offset: answer.size, file: answer } : { offset: answer.offset, file: null };
}

/** What is kept of an upload over a reload of the page: where it is, by what is uploaded and by nobody's name. */
function memoryOf(file: Blob, name: string, type: string): { url: string | null; set(url: string | null): void; leave(): void } {
  const isFile = file instanceof File;
  const key = `pylon:upload:${digest([name, type, file.size, isFile ? file.lastModified : ""].join("\n"))}`;
  if (!isFile || active.has(key)) return { url: null, set: () => undefined, leave: () => undefined };
  active.add(key);
  const store = (work: (storage: Storage) => string | null | void): string | null => {
    try {
      return work(localStorage) ?? null;
    } catch {
      return null; // blocked or full: it starts over after a reload
    }
  };
  return {
    url: store((storage) => storage.getItem(key)),
    set: (url) => void store((storage) => (url === null ? storage.removeItem(key) : storage.setItem(key, url))),
    leave: () => void active.delete(key),
  };
}
