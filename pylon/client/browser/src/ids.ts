// UUIDv7 (RFC 9562, method 1): in order within a millisecond, and never back when the clock goes back.

/** Mints ids from a clock and a source of random bytes, both handed in. */
export class IdSource {
  private lastMs = 0;
  private counter = 0;

  constructor(
    private readonly nowMs: () => number,
    private readonly randomBytes: (count: number) => Uint8Array,
  ) {}

  uuid7(): string {
    const now = this.nowMs();
    if (now > this.lastMs) {
      this.lastMs = now;
      this.counter = 0;
    } else if (++this.counter > 0xfff) {
      this.lastMs += 1;
      this.counter = 0;
    }
    const time = this.lastMs.toString(16).padStart(12, "0");
    const counter = this.counter.toString(16).padStart(3, "0");
    const random = this.randomBytes(8);
    random[0] = ((random[0] ?? 0) & 0x3f) | 0x80;
    const tail = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${tail.slice(0, 4)}-${tail.slice(4)}`;
  }
}
