// A short text for a longer one, which differs for different ones and does not say them. No secret.

/** FNV-1a, 64 bits, in hexadecimal digits. */
export function digest(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16);
}
