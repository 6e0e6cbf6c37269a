// Following the live stream: batches in, and what to do where one does not follow the cursor. Pure.
//
// A gap is never bridged: what is missing is pulled, and what came meanwhile waits (I25). Where
// that does not meet the stream again, the connection starts over from the cursor.

import type { ChangeBatch } from "./protocol.gen.ts";
import type { Replica } from "./replica.ts";
import type { Definition } from "./subscription.ts";

const GAPS_MAX = 3;
const FRAMES_KEPT_MAX = 1_000;

/** What must happen next: nothing, a pull, or a new connection. */
export type Move = null | "restart" | { readonly id: number; readonly cursor: string };

export class CatchUp {
  private gaps = 0;
  private pulls = 0;
  private isPulling = false;
  private frames: ChangeBatch[] = [];
  /** What the pull under way was asked for, by id. */
  private asked: ReadonlyMap<string, Definition> = new Map();

  constructor(private readonly replica: Replica) {}

  /** Forgets what was under way; answers to older pulls are ignored from here on. */
  reset(): void {
    this.gaps = 0;
    this.isPulling = false;
    this.frames = [];
  }

  follow(batch: ChangeBatch): Move {
    if (this.isPulling) {
      if (this.frames.length >= FRAMES_KEPT_MAX) return "restart";
      this.frames.push(batch);
      return null;
    }
    const applied = this.replica.apply(batch);
    if (applied === "applied") this.gaps = 0;
    return applied === "gap" ? this.meetGap() : null;
  }

  pulled(id: number, batch: ChangeBatch): Move {
    if (!this.isAwaiting(id)) return null;
    if (this.isOutgrown()) return "restart";
    const before = this.replica.cursor;
    const applied = this.replica.apply(batch);
    const { cursor } = this.replica;
    if (applied === "gap" || cursor === null || (batch.more && cursor === before)) return "restart";
    if (batch.more) return this.pull(cursor);
    this.isPulling = false;
    const frames = this.frames;
    this.frames = [];
    let move: Move = null;
    // Once one of them asks for more, those behind it wait again.
    for (const frame of frames) {
      const next = this.follow(frame);
      if (next !== null) move = next;
    }
    return move;
  }

  isAwaiting(id: number): boolean {
    return this.isPulling && id === this.pulls;
  }

  /**
   * Tells whether something was subscribed since the pull was asked: its answer knows nothing of
   * it, and would take the cursor past what changed in it.
   */
  private isOutgrown(): boolean {
    for (const [id, { definition }] of this.replica.subscriptions) {
      if (this.asked.get(id) !== definition) return true;
    }
    return false;
  }

  private meetGap(): Move {
    this.gaps += 1;
    const { cursor } = this.replica;
    // While pages come, an answer beside the socket could overtake them (rule 8): one channel only.
    if (this.gaps > GAPS_MAX || cursor === null || this.replica.isHydrating) return "restart";
    return this.pull(cursor);
  }

  private pull(cursor: string): Move {
    this.isPulling = true;
    this.pulls += 1;
    this.asked = new Map([...this.replica.subscriptions].map(([id, { definition }]) => [id, definition]));
    return { id: this.pulls, cursor };
  }
}
