// One upload as a pure machine: events in, effects out. What is asked, sent and waited for is the shell's.
//
// A small file goes whole, a larger one in pieces, each as long as the network bears. After whatever went
// wrong the server is asked how far it has come, so no answer that was lost is ever guessed.

/** A file as a row's field has it. */
export interface FileObject {
  readonly id: string;
  readonly url: string;
  readonly size: number;
  readonly type: string;
  readonly sha256: string;
  readonly name: string;
}

export interface UploadFailure {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryAfter: number | undefined;
}

export type UploadEvent =
  /** `url`: an upload of this file that was begun on an earlier visit. */
  | { readonly type: "start"; readonly url: string | null }
  | { readonly type: "begun"; readonly url: string }
  /** `file` where the upload is complete. `ms`: how long a piece took. */
  | { readonly type: "reached"; readonly offset: number; readonly file: FileObject | null; readonly ms?: number }
  | { readonly type: "failed"; readonly error: UploadFailure }
  | { readonly type: "woken" | "online" | "offline" | "aborted" };

export type UploadEffect =
  | { readonly type: "post" | "begin" | "forget" }
  | { readonly type: "ask" | "remember" | "drop"; readonly url: string }
  | { readonly type: "send"; readonly url: string; readonly from: number; readonly to: number }
  | { readonly type: "wait"; readonly ms: number }
  | { readonly type: "progress"; readonly loaded: number }
  | { readonly type: "resolve"; readonly file: FileObject }
  | { readonly type: "reject"; readonly error: UploadFailure };

/** Up to here a file goes in one request. */
export const WHOLE_BYTES_MAX = 1 << 20;
export const PIECE_BYTES_MIN = 1 << 16;
const PIECE_BYTES_FIRST = 1 << 19;
export const PIECE_BYTES_MAX = 1 << 23;
/** A piece that takes less gets a longer one behind it, one that takes more a shorter one. */
const QUICK_MS = 500;
const SLOW_MS = 3_000;
const WAIT_MS_MAX = 30_000;
/** Answers that contradict each other, and uploads that are gone, before it is given up. */
const CONFLICTS_MAX = 20;
const RESTARTS_MAX = 3;
/** May be asked again, and may then succeed. */
const TRANSIENT = ["UNAVAILABLE", "RATE_LIMITED", "REQUEST_TIMEOUT", "CONFLICT"];
/** Reasons of UNAVAILABLE that do not pass by themselves. */
const LASTING = ["disk_full", "files_full"];

export class UploadMachine {
  private url: string | null = null;
  private offset = 0;
  private shown = -1;
  private piece = PIECE_BYTES_FIRST;
  private attempts = 0;
  private conflicts = 0;
  private restarts = 0;
  private isOnline = true;
  private state: "idle" | "busy" | "waiting" | "over" = "idle";

  constructor(private readonly size: number, private readonly random: () => number) {}

  step(event: UploadEvent): UploadEffect[] {
    if (this.state === "over") return [];
    switch (event.type) {
      case "start":
        this.url = event.url;
        return [...this.show(0), ...this.goOn()];
      case "begun":
        this.url = event.url;
        return [{ type: "remember", url: event.url }, ...this.reach(0, null)];
      case "reached":
        if (event.ms !== undefined) this.adapt(event.ms);
        return this.reach(event.offset, event.file);
      case "failed":
        return this.fail(event.error);
      case "woken":
        return this.state === "waiting" && this.isOnline ? this.goOn() : [];
      case "online":
        this.isOnline = true;
        return this.state === "waiting" ? this.goOn() : [];
      case "offline":
        this.isOnline = false;
        return [];
      case "aborted":
        this.state = "over";
        return [...(this.url === null ? [] : [{ type: "drop", url: this.url } as const]), { type: "forget" }];
    }
  }

  /** Asks how far it has come, or begins. */
  private goOn(): UploadEffect[] {
    this.state = "busy";
    if (this.url !== null) return [{ type: "ask", url: this.url }];
    return [{ type: this.size > WHOLE_BYTES_MAX ? "begin" : "post" }];
  }

  private reach(offset: number, file: FileObject | null): UploadEffect[] {
    if (file !== null) {
      this.state = "over";
      return [...this.show(this.size), { type: "forget" }, { type: "resolve", file }];
    }
    if (offset > this.offset) this.attempts = this.conflicts = 0;
    this.offset = offset;
    this.state = "busy";
    const to = Math.min(this.size, offset + this.piece);
    return [...this.show(offset), { type: "send", url: this.url!, from: offset, to }];
  }

  /** What is shown never goes back, also where a server forgot the last of it. */
  private show(loaded: number): UploadEffect[] {
    if (loaded <= this.shown) return [];
    this.shown = loaded;
    return [{ type: "progress", loaded }];
  }

  private adapt(ms: number): void {
    if (ms < QUICK_MS) this.piece = Math.min(PIECE_BYTES_MAX, this.piece * 2);
    else if (ms > SLOW_MS) this.shorten();
  }

  private shorten(): void {
    this.piece = Math.max(PIECE_BYTES_MIN, this.piece / 2);
  }

  private fail(error: UploadFailure): UploadEffect[] {
    const { code, details, retryAfter } = error;
    if (code === "NOT_FOUND" && this.url !== null && this.restarts < RESTARTS_MAX) {
      // It is gone: given up for a day, or another's by now.
      this.restarts += 1;
      this.url = null;
      this.offset = 0;
      return [{ type: "forget" }, ...this.goOn()];
    }
    const isLasting = LASTING.includes(String(details["reason"]))
      || (code === "CONFLICT" && (this.url === null || ++this.conflicts > CONFLICTS_MAX));
    if (!TRANSIENT.includes(code) || isLasting) {
      this.state = "over";
      return [{ type: "reject", error }];
    }
    this.shorten();
    this.attempts += 1;
    this.state = "waiting";
    if (!this.isOnline) return [];
    const window = Math.min(WAIT_MS_MAX, 500 * 2 ** Math.min(this.attempts, 8));
    return [{ type: "wait", ms: Math.floor((retryAfter ?? 0) * 1_000 + window / 2 + (this.random() * window) / 2) }];
  }
}
