import type { Chunk, EventSource } from '../event-source.ts';
import { messageBytesMax } from '../limits.ts';
import { parseObject } from './json-fields.ts';

/** Where a line stands, so that a line which arrived twice can be told from two that are alike. */
export interface Place {
  readonly generation: string;
  readonly offset: number;
}

/** The member that an event carries them in. */
export const coordinatesMember = 'gatehouse';

const newline = 0x0a;

/**
 * The same source, whose chunks say where each of their lines begins. Before anything is done to them: what is taken
 * out of a line moves the next.
 */
export function locating(source: EventSource): EventSource {
  return {
    async *chunks(from, signal) {
      for await (const chunk of source.chunks(from, signal)) {
        const { origin, bytes } = chunk;
        yield origin === undefined ? chunk : { ...chunk, lineOffsets: lineOffsets(bytes, origin.offset) };
      }
    },
    counts: () => source.counts(),
  };
}

function lineOffsets(bytes: Buffer, first: number): number[] {
  const offsets: number[] = [];
  for (let from = 0; from < bytes.length; ) {
    offsets.push(first + from);
    const end = bytes.indexOf(newline, from);
    from = end < 0 ? bytes.length : end + 1;
  }
  return offsets;
}

export function placeOf({ origin, lineOffsets: offsets }: Chunk, index: number): Place | undefined {
  const offset = offsets?.[index];
  return origin === undefined || offset === undefined ? undefined : { generation: origin.generation, offset };
}

/** An event with its coordinates in it, where it is a JSON object that has room for them and no such member. */
export function stamped(
  text: string,
  { generation, offset }: Place,
  { hostId, source }: { readonly hostId: string; readonly source: string },
): string {
  const object = parseObject(text);
  if (object === undefined || Object.hasOwn(object, coordinatesMember)) return text;
  const member = `"${coordinatesMember}":${JSON.stringify({ hostId, source, generation, offset })}`;
  // Not made anew from what was parsed: numbers would lose digits.
  const open = text.slice(0, text.lastIndexOf('}')).trimEnd();
  const whole = `${open}${open.endsWith('{') && Object.keys(object).length === 0 ? '' : ','}${member}}`;
  return Buffer.byteLength(whole) <= messageBytesMax ? whole : text;
}
