// Which rows the subscriptions want, and which of those the server has vouched for. Pure.
//
// A row may be here for a subscription that the server has not read yet: it came for another one
// that is gone since, or was kept from it. Nobody tells of its end then, so such rows are doubted
// until a page of the new subscription has passed their id.

import { compileFilter, type Predicate } from "./filter.ts";
import type { WireRow } from "./protocol.gen.ts";
import type { Schema } from "./schema.ts";
import type { Subscription } from "./subscription.ts";

/** What a replica's subscriptions want of rows; it looks at them, and changes none. */
export class Claims {
  private readonly predicates = new Map<string, Predicate>();
  /** Rows as they were when no filter matched them any more, kept by windows alone. */
  private readonly filtered = new Map<string, Set<string>>();
  private readonly doubted = new Map<string, Set<string>>();

  constructor(private readonly subscriptions: ReadonlyMap<string, Subscription>) {}

  compile({ id, definition }: Subscription, schema: Schema): void {
    this.predicates.set(id, compileFilter(definition.where, definition.entity, schema));
  }

  forget(id: string): void {
    this.predicates.delete(id);
  }

  /** Tells whether the filter of a subscription matches a row. */
  matches(id: string, row: WireRow): boolean {
    return this.predicates.get(id)?.(row) === true;
  }

  /** Tells whether a row is wanted; one that nobody vouches for is doubted from here on. */
  keeps(entity: string, row: WireRow): boolean {
    const isListed = this.isListed(entity, row.id);
    if (this.filtered.get(entity)?.has(row.id) === true) return isListed;
    let isMatched = false;
    for (const { id, definition, phase, after } of this.subscriptions.values()) {
      // A window wants what it lists, not all that its filter matches (rule 16); what failed is
      // told of nothing and holds nothing.
      if (definition.entity !== entity || definition.limit !== undefined || phase === "failed") continue;
      if (!this.matches(id, row)) continue;
      isMatched = true;
      if (phase === "done" || (after !== null && row.id <= after)) return true;
    }
    if (isMatched) add(this.doubted, entity, row.id);
    return isMatched || isListed;
  }

  isListed(entity: string, id: string): boolean {
    for (const one of this.subscriptions.values()) {
      if (one.definition.entity === entity && one.ids?.includes(id) === true) return true;
    }
    return false;
  }

  /** Returns the ids that windows list of an entity. */
  listed(entity: string): string[] {
    return [...this.subscriptions.values()].flatMap(({ definition, ids }) => (definition.entity === entity ? ids ?? [] : []));
  }

  /** Notes that no filter matches the row any more, as it is here. */
  leaveToWindows(entity: string, id: string): void {
    add(this.filtered, entity, id);
  }

  /** Notes that the server has sent a row as it is, or that it is gone. */
  settle(entity: string, id: string): void {
    this.filtered.get(entity)?.delete(id);
    this.doubted.get(entity)?.delete(id);
  }

  /** Returns the doubted ids in (after, last], whose page has come; null: without bound. */
  passed(entity: string, after: string | null, last: string | null): string[] {
    return [...this.doubted.get(entity) ?? []].filter((id) => (after === null || id > after) && (last === null || id <= last));
  }

  clear(): void {
    this.filtered.clear();
    this.doubted.clear();
  }
}

function add(map: Map<string, Set<string>>, entity: string, id: string): void {
  const ids = map.get(entity);
  if (ids === undefined) map.set(entity, new Set([id]));
  else ids.add(id);
}
