import { type Pieces, pieces } from './pieces.ts';

/** Cuts a TCP stream into syslog messages: RFC 6587, octet counting and non-transparent framing, told by each frame. */
export interface SyslogFrames {
  /**
   * The messages that are whole now, without their framing.
   * @throws RangeError when a frame is longer than allowed, after those before it
   */
  push(bytes: Buffer): Generator<Buffer, void, void>;
  /** What is left when the stream ends: a message that its sender did not end. */
  end(): Buffer[];
  /** Of a message that is not whole. */
  readonly heldBytes: number;
}

/** A digit that is no zero starts a count; messages themselves start with `<`. */
const countStart = /^[1-9]/u;
const countDigitsMax = 8;
const newline = 0x0a;
const space = 0x20;

export function syslogFrames(frameBytesMax: number): SyslogFrames {
  let held: Pieces = pieces();
  /** What the message that is held is waiting for: so many bytes, or a newline; undefined where that is not known. */
  let awaited: number | 'newline' | undefined;

  /** The next message, and how many bytes it and its framing take; undefined when it is not whole. */
  function next(bytes: Buffer): { readonly message: Buffer; readonly length: number } | undefined {
    awaited = undefined;
    if (countStart.test(bytes.toString('latin1', 0, 1))) {
      const end = bytes.subarray(0, countDigitsMax + 1).indexOf(space);
      const count = end < 0 ? undefined : bytes.toString('latin1', 0, end);
      if (count !== undefined && /^\d+$/u.test(count)) {
        const size = Number(count);
        if (size > frameBytesMax) throw new RangeError('a frame is too long');
        const length = end + 1 + size;
        awaited = length;
        return bytes.length < length ? undefined : { message: bytes.subarray(end + 1, length), length };
      }
      if (end < 0 && bytes.length <= countDigitsMax && /^\d+$/u.test(bytes.toString('latin1')))
        return undefined;
    }
    if (bytes.length > 0) awaited = 'newline';
    const end = bytes.indexOf(newline);
    if (end < 0) refuseTooLong(bytes.length);
    return end < 0 ? undefined : { message: bytes.subarray(0, end), length: end + 1 };
  }

  function refuseTooLong(bytes: number): void {
    if (bytes > frameBytesMax) throw new RangeError('a frame is too long');
  }

  function isStillUnfinished(piece: Buffer): boolean {
    if (awaited === undefined) return false;
    if (awaited !== 'newline') return held.bytes < awaited;
    if (piece.includes(newline)) return false;
    refuseTooLong(held.bytes);
    return true;
  }

  return {
    *push(bytes) {
      held.add(bytes);
      if (isStillUnfinished(bytes)) return;
      let rest = held.joined();
      for (let frame = next(rest); frame !== undefined; frame = next(rest)) {
        if (frame.message.length > 0) yield Buffer.from(frame.message);
        rest = rest.subarray(frame.length);
      }
      held = pieces(Buffer.from(rest));
    },

    end() {
      const rest = held.joined();
      held = pieces();
      awaited = undefined;
      return rest.length === 0 ? [] : [rest];
    },

    get heldBytes() {
      return held.bytes;
    },
  };
}
