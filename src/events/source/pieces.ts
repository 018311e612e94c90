/** Bytes that come in pieces and are wanted whole. */
export interface Pieces {
  add(piece: Buffer): void;
  /** All of it, in one. */
  joined(): Buffer;
  readonly bytes: number;
  /** In how many pieces it lies. */
  readonly count: number;
}

/**
 * Joined only when there are more: each with those before it would copy what is long over and over. And no more are kept
 * apart, for one of a single byte takes a hundred times that.
 */
export const piecesMax = 64;

export function pieces(first: Buffer = Buffer.alloc(0)): Pieces {
  let apart = first.length === 0 ? [] : [first];
  let bytes = first.length;

  function joined(): Buffer {
    const [only] = apart;
    return apart.length === 1 && only !== undefined ? only : Buffer.concat(apart, bytes);
  }

  return {
    add(piece) {
      apart.push(piece);
      bytes += piece.length;
      if (apart.length > piecesMax) apart = [joined()];
    },
    joined,
    get bytes() {
      return bytes;
    },
    get count() {
      return apart.length;
    },
  };
}
