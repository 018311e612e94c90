/** Under which id of the spool a batch is that went there while somebody had it, who knows it by that of the memory. */
export interface SpooledIds {
  readonly size: number;
  went(heldId: number, spooledId: number): void;
  /** Its id in the spool. */
  of(id: number): number;
  /** It is gone from the spool, by whatever id it was known: whoever has it still finds nothing. */
  settled(spooledId: number): void;
}

export function spooledIds(): SpooledIds {
  const ids = new Map<number, number>();
  return {
    get size() {
      return ids.size;
    },
    went: (heldId, spooledId) => void ids.set(heldId, spooledId),
    of: (id) => ids.get(id) ?? id,
    settled(spooledId) {
      // As many as are being sent, or are looked at: a few.
      for (const [heldId, id] of ids) if (id === spooledId) ids.delete(heldId);
    },
  };
}
