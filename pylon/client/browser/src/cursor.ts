// Cursors: `"<epoch>:<seq>"`, a point in one lineage of the log.

const FORM = /^([A-Za-z0-9_-]{1,32}):(0|[1-9][0-9]{0,15})$/;

export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** Returns the parts of a cursor's text, or null where it is none. */
export function parseCursor(text: string): Cursor | null {
  const found = FORM.exec(text);
  if (found?.[1] === undefined || found[2] === undefined) return null;
  const seq = Number(found[2]);
  return Number.isSafeInteger(seq) ? { epoch: found[1], seq } : null;
}

/** Tells whether `cursor` has reached `point`: same lineage, and not before it. */
export function hasReached(cursor: string | null, point: string | null): boolean {
  if (point === null) return true;
  if (cursor === null) return false;
  const [here, there] = [parseCursor(cursor), parseCursor(point)];
  return here !== null && there !== null && here.epoch === there.epoch && here.seq >= there.seq;
}
