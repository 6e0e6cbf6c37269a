// One live row: a live query for an id, seen as the row itself.

import type { PylonError } from "./errors.ts";
import type { LiveQuery } from "./live.ts";

export class LiveRow<R> {
  /** @internal */
  constructor(private readonly query: LiveQuery<R>) {}

  /** The row; null where there is none, or none that the caller may read. */
  get row(): R | null {
    return this.query.rows[0] ?? null;
  }

  get ready(): boolean {
    return this.query.ready;
  }

  get error(): PylonError | null {
    return this.query.error;
  }

  /** Calls with the row, or null, soon and at each change; returns how to stop. */
  subscribe(call: (row: R | null) => void): () => void {
    return this.query.subscribe((rows) => call(rows[0] ?? null));
  }

  close(): void {
    this.query.close();
  }
}
