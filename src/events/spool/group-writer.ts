import { type BodySeal, bodyCheck, headBytes, type RecordKind, writeHead } from './record.ts';

/** A record that is still needed, and where it is now: it moves when little else of its segment is needed. */
export interface HeldRecord {
  segment: number;
  at: number;
  length: number;
  readonly keyId: string | undefined;
}

export interface RecordDraft {
  readonly kind: RecordKind;
  /** Anything JSON-able. */
  readonly meta: unknown;
  readonly body?: Buffer;
  /** What the body is bound to, where it is to be sealed. */
  readonly context?: string;
  /** Set where the body is sealed already. */
  readonly sealed?: BodySeal | undefined;
}

/** A record to append. */
export interface Appended {
  readonly draft: RecordDraft;
  /** Called when the record is durable. One with a body is held from then on. */
  readonly onDurable?: (record: HeldRecord) => void;
}

/** Seals bodies. */
export interface BodySealer {
  readonly keyId: string;
  seal(bytes: Buffer, context: string, into: Buffer, at: number): Uint8Array;
}

/** Makes the bytes of records that are written together, in memory that is used again for each group. */
export interface GroupWriter {
  /** The next record's sequence is higher. */
  goOnAfter(sequence: number): void;
  /** Records for the end of a segment, and where each will be. The bytes are valid until the next group. */
  encode(
    segment: { readonly number: number; readonly end: number },
    drafts: readonly RecordDraft[],
    sealer: BodySealer | undefined,
  ): { readonly bytes: Buffer; readonly places: HeldRecord[] };
  /** The last group is written: memory that is rarely needed is given back. */
  rest(): void;
}

/** What one write takes. */
export const groupBytesMax = 4 * 2 ** 20;
/** The buffer is kept up to this length. */
const stagingBytesKept = 8 * 2 ** 20;

export function groupWriter(): GroupWriter {
  let staging: Buffer = Buffer.alloc(0);
  let sequence = 0;

  return {
    goOnAfter(last) {
      sequence = Math.max(sequence, last);
    },

    encode({ number, end: durable }, drafts, sealer) {
      const metas = drafts.map(({ meta }) => Buffer.from(JSON.stringify(meta)));
      const wanted = drafts.reduce(
        (sum, { body }, index) => sum + headBytes + (metas[index]?.length ?? 0) + (body?.length ?? 0),
        0,
      );
      if (staging.length < wanted) staging = Buffer.allocUnsafeSlow(Math.max(wanted, groupBytesMax / 2));
      const places: HeldRecord[] = [];
      let at = 0;
      for (const [index, { kind, body, context, sealed: sealedBefore }] of drafts.entries()) {
        const meta = metas[index] ?? Buffer.alloc(0);
        const bodyAt = at + headBytes + meta.length;
        const end = bodyAt + (body?.length ?? 0);
        let sealed = sealedBefore;
        if (body !== undefined && context !== undefined && sealer !== undefined) {
          sealed = { keyId: sealer.keyId, seal: sealer.seal(body, context, staging, bodyAt) };
        } else {
          body?.copy(staging, bodyAt);
        }
        sequence += 1;
        const head = {
          kind,
          segment: number,
          sequence,
          durable,
          sealed,
          bodyBytes: end - bodyAt,
          bodyCheck: bodyCheck(staging.subarray(bodyAt, end), sealed !== undefined),
        };
        writeHead(staging, at, head, meta);
        places.push({ segment: number, at: durable + at, length: end - at, keyId: sealed?.keyId });
        at = end;
      }
      return { bytes: staging.subarray(0, at), places };
    },

    rest() {
      if (staging.length > stagingBytesKept) staging = Buffer.alloc(0);
    },
  };
}
