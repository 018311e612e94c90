import { describe, expect, test } from 'vitest';
import { Secret } from '../base/secret.ts';
import { chain } from './chain.ts';
import type { CredentialSource, Credentials } from './credential-source.ts';
import { identityError } from './errors.ts';

const signal = new AbortController().signal;

/** Sources that answer what their entry says, each with a count of how often it was asked. */
function setup(answers: Record<string, 'credentials' | 'absent' | 'failure'>) {
  const asked: string[] = [];
  const sources = Object.keys(answers).map(
    (name): CredentialSource => ({
      name,
      absence: `no ${name} here`,
      async load(): Promise<Credentials | undefined> {
        asked.push(name);
        if (answers[name] === 'failure') throw identityError('CREDENTIALS_NO_ROLE');
        if (answers[name] === 'absent') return undefined;
        return { accessKeyId: 'ASIA', secretAccessKey: Secret.ofText('s'), source: name };
      },
    }),
  );
  return { answers, asked, chained: chain(sources) };
}

describe('a chain', () => {
  test('answers with the first source that applies, and says who was passed over', async () => {
    const { chained, asked } = setup({ one: 'absent', two: 'credentials', three: 'credentials' });

    const credentials = await chained.load(signal);

    expect(credentials?.source).toBe('two');
    expect(chained.answered).toBe('two');
    expect(chained.passedOver).toEqual([{ name: 'one', reason: 'no one here' }]);
    expect(asked).toEqual(['one', 'two']);
  });

  test('stops at a source that applies and fails', async () => {
    const { chained, asked } = setup({ one: 'failure', two: 'credentials' });

    await expect(chained.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_NO_ROLE' });
    expect(asked).toEqual(['one']);
    expect(chained.answered).toBeUndefined();
  });

  test('in which no source applies fails, and says why of each', async () => {
    const { chained } = setup({ one: 'absent', two: 'absent' });

    await expect(chained.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_NOT_FOUND',
      details: { passedOver: ['one: no one here', 'two: no two here'] },
    });
  });

  test('keeps to the source that answered, also when an earlier one would now apply', async () => {
    const { chained, answers } = setup({ one: 'absent', two: 'credentials' });
    await chained.load(signal);
    answers['one'] = 'credentials';

    const again = await chained.load(signal);

    expect(again?.source).toBe('two');
  });

  test('never slips into another identity when the source that answered is away', async () => {
    const { chained, answers, asked } = setup({ one: 'credentials', two: 'credentials' });
    await chained.load(signal);
    answers['one'] = 'absent';

    await expect(chained.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_SOURCE_LOST',
      details: { source: 'one' },
    });
    expect(asked).toEqual(['one', 'one']);
  });

  test('that found nothing searches again', async () => {
    const { chained, answers } = setup({ one: 'absent' });
    await chained.load(signal).catch(() => undefined);
    answers['one'] = 'credentials';

    expect((await chained.load(signal))?.source).toBe('one');
  });
});
