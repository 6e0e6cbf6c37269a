// How often a server with which all is not well is asked: at most ten times a minute, whatever the
// reason and whoever knocks (I36). Pure but for the clock handed in.

const REQUESTS_MAX = 10;
const SPAN_MS = 60_000;

export class Budget {
  private times: number[] = [];
  private isFree = false;

  constructor(private readonly nowMs: () => number) {}

  /** Returns how long the next request has to wait, in milliseconds. */
  wait(): number {
    const now = this.nowMs();
    this.times = this.times.filter((at) => at > now - SPAN_MS);
    const first = this.times.at(-REQUESTS_MAX);
    return this.isFree || first === undefined ? 0 : first + SPAN_MS - now;
  }

  /** Counts a request that goes out now. */
  count(): void {
    this.times.push(this.nowMs());
  }

  /** The last request got on: it does not count. */
  refund(): void {
    this.times.pop();
  }

  /** All is well, or not any more. While it is, nothing is bounded. */
  free(isFree: boolean): void {
    this.isFree = isFree;
    if (isFree) this.times = [];
  }
}
