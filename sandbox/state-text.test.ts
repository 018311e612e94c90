import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStateText, stateText } from './state-text.ts';

describe('state as text', () => {
  it('comes back as it went, whatever it is made of', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: false,
    });

    fc.assert(
      fc.property(anything, (state) => {
        fc.pre(!holdsInvalidDate(state));
        expect(parseStateText(stateText(state))).toEqual(state);
      }),
    );
  });

  it('keeps a negative zero', () => {
    expect(parseStateText(stateText({ x: -0 }))).toEqual({ x: -0 });
  });

  it('keeps bytes', () => {
    expect(parseStateText(stateText({ key: Buffer.from([0, 255]) }))).toEqual({ key: Buffer.from([0, 255]) });
  });

  it('refuses what would be lost', () => {
    class Own {
      readonly a = 1;
    }

    expect(() => stateText({ call: () => 1 })).toThrow(TypeError);
    expect(() => stateText(new Own())).toThrow(TypeError);
    expect(() => stateText({ $sandbox: 'map' })).toThrow(TypeError);
    expect(() => parseStateText('{"$sandbox":"other"}')).toThrow(TypeError);
  });
});

function holdsInvalidDate(value: unknown): boolean {
  if (value instanceof Date) return Number.isNaN(value.getTime());
  if (value instanceof Map) return [...value].flat().some(holdsInvalidDate);
  if (value instanceof Set) return [...value].some(holdsInvalidDate);
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsInvalidDate);
}
