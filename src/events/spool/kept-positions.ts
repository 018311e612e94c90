import type { Positions } from '../event-source.ts';
import type { SourcePosition } from '../spool.ts';

/** Source, item, value; null: forgotten. As records have it. */
export type PositionEntry = readonly [source: string, item: string, value: string | null];

/** What the durable records say of how far sources were read. */
export interface KeptPositions {
  of(source: string): Positions;
  move(entries: readonly PositionEntry[]): void;
  clear(): void;
  entries(): PositionEntry[];
}

export function keptPositions(): KeptPositions {
  const kept = new Map<string, Map<string, string>>();

  return {
    of: (source) => new Map(kept.get(source)),

    move(entries) {
      for (const [source, item, value] of entries) {
        const items = kept.get(source) ?? new Map<string, string>();
        kept.set(source, items);
        if (value === null) items.delete(item);
        else items.set(item, value);
      }
    },

    clear: () => kept.clear(),

    entries: () =>
      [...kept].flatMap(([source, items]) =>
        [...items].map(([item, value]): PositionEntry => [source, item, value]),
      ),
  };
}

export function positionEntries(moved: readonly SourcePosition[]): PositionEntry[] {
  return moved.map(({ source, item, value }) => [source, item, value ?? null]);
}
