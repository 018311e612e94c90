import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { difference } from './difference.ts';

const schema = z.strictObject({
  keys: z
    .strictObject({
      binding: z.string().optional(),
      trusted: z.array(z.string()).default([]).meta({ applies: 'live' }),
    })
    .prefault({})
    .meta({ applies: 'restart' }),
  secrets: z
    .record(
      z.string(),
      z.strictObject({
        id: z.string().optional().meta({ applies: 'live' }),
        cache: z.int().optional().meta({ applies: 'restart' }),
      }),
    )
    .default({})
    .meta({ applies: 'live' }),
  unmarked: z.int().optional(),
});

describe('the difference of two configs', () => {
  it('is nothing when they are equal, whatever the order of their keys', () => {
    expect(
      difference(
        schema,
        { secrets: { a: { id: 'x', cache: 1 } } },
        { secrets: { a: { cache: 1, id: 'x' } } },
      ),
    ).toEqual({
      live: [],
      restart: [],
    });
  });

  it.each([
    [
      'a key takes the mark of what it is in',
      { keys: { binding: 'a' } },
      { keys: {} },
      { restart: ['keys.binding'] },
    ],
    [
      'its own mark counts more',
      { keys: { trusted: ['a'] } },
      { keys: { trusted: [] } },
      { live: ['keys.trusted'] },
    ],
    ['a new name in a record', { secrets: {} }, { secrets: { b: { cache: 1 } } }, { live: ['secrets.b'] }],
    [
      'a key of a name',
      { secrets: { a: { cache: 1 } } },
      { secrets: { a: { cache: 2 } } },
      { restart: ['secrets.a.cache'] },
    ],
    ['one unmarked needs a restart', { unmarked: 1 }, { unmarked: 2 }, { restart: ['unmarked'] }],
    ['so does one unknown', {}, { strange: 2 }, { restart: ['strange'] }],
  ])('%s', (_fact, before, after, expected) => {
    expect(difference(schema, before, after)).toEqual({ live: [], restart: [], ...expected });
  });
});
