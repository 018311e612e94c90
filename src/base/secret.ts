import { inspect } from 'node:util';

const shown = '[secret]';

/**
 * A value that must not leak. It prints as `[secret]` in every form; `reveal…` is for adapters that hand it over.
 * The bytes are this object's own copy and `dispose` overwrites them. A string that was revealed lives until it is
 * collected: Node offers no better.
 */
export class Secret {
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  static ofText(text: string): Secret {
    return new Secret(Buffer.from(text, 'utf8'));
  }

  /** Copies; the caller still owns, and may overwrite, what it passed. */
  static ofBytes(bytes: Uint8Array): Secret {
    return new Secret(Buffer.from(bytes));
  }

  /** Length in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The secret's own bytes, not a copy: valid until `dispose`. */
  revealBytes(): Buffer {
    return this.#bytes;
  }

  /** The bytes as UTF-8. */
  revealText(): string {
    return this.#bytes.toString('utf8');
  }

  equals(other: Secret): boolean {
    return this.#bytes.equals(other.#bytes);
  }

  /** Overwrites the value with zeros. */
  dispose(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.toPrimitive](): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}
