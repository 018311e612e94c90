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
  let held = Buffer.alloc(0);

  /** The next message, and how many bytes it and its framing take; undefined when it is not whole. */
  function next(bytes: Buffer): { readonly message: Buffer; readonly length: number } | undefined {
    if (countStart.test(bytes.toString('latin1', 0, 1))) {
      const end = bytes.subarray(0, countDigitsMax + 1).indexOf(space);
      const count = end < 0 ? undefined : bytes.toString('latin1', 0, end);
      if (count !== undefined && /^\d+$/u.test(count)) {
        const size = Number(count);
        if (size > frameBytesMax) throw new RangeError('a frame is too long');
        const length = end + 1 + size;
        return bytes.length < length ? undefined : { message: bytes.subarray(end + 1, length), length };
      }
    }
    const end = bytes.indexOf(newline);
    if (end < 0 && bytes.length > frameBytesMax) throw new RangeError('a frame is too long');
    return end < 0 ? undefined : { message: bytes.subarray(0, end), length: end + 1 };
  }

  return {
    *push(bytes) {
      let rest = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      for (let frame = next(rest); frame !== undefined; frame = next(rest)) {
        if (frame.message.length > 0) yield Buffer.from(frame.message);
        rest = rest.subarray(frame.length);
      }
      held = Buffer.from(rest);
    },

    end() {
      const rest = held;
      held = Buffer.alloc(0);
      return rest.length === 0 ? [] : [rest];
    },

    get heldBytes() {
      return held.length;
    },
  };
}
