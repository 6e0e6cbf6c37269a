// A live query of the chat whose question follows the data.

import type { Database, EntityName, LiveQuery, QueryOptions, RowOf } from "/_pylon/client.js";
import type { App } from "./pylon.gen.ts";

/** A live query whose subscription can be replaced, so that what it asks for can follow the data. */
export class Watched<E extends EntityName<App>> {
  private query: LiveQuery<RowOf<App, E>> | undefined;
  private asked = "";
  rows: readonly RowOf<App, E>[] = [];
  ready = false;

  constructor(
    private readonly db: Database<App>,
    private readonly entity: E,
    private readonly changed: () => void,
  ) {}

  watch(options: QueryOptions<RowOf<App, E>>): void {
    const asked = JSON.stringify(options);
    if (asked === this.asked) return;
    this.asked = asked;
    const before = this.query;
    const query = this.db.query(this.entity, options);
    this.query = query;
    query.subscribe((rows) => {
      if (this.query !== query) return;
      // The rows of the question before stay on the screen until the new answer is complete.
      if (!query.ready && before !== undefined && rows.length < this.rows.length) return;
      this.rows = rows;
      this.ready = query.ready;
      if (query.ready) before?.close();
      this.changed();
    });
  }
}
