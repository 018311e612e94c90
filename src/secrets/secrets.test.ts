import { describe, expect, it } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { secretsConfig } from './config.ts';
import { secretsError } from './errors.ts';
import { secretSourceContract } from './secret-source.contract.ts';
import type { SecretReading, SecretSource } from './secret-source.ts';
import { secrets } from './secrets.ts';

const never = new AbortController().signal;

/** A source in memory: by secret id, a value with its version, or an error. */
function memorySource() {
  const values = new Map<string, { text: Buffer; version: string } | Error>();
  let underWay = 0;
  let mostUnderWay = 0;
  const source: SecretSource<{ readonly secretId: string }> = {
    async read({ secretId }, signal): Promise<SecretReading> {
      signal.throwIfAborted();
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      await Promise.resolve();
      underWay -= 1;
      const found = values.get(secretId) ?? secretsError('SECRET_NOT_FOUND', { secretId });
      if (found instanceof Error) throw found;
      return { value: Secret.ofBytes(found.text), version: found.version };
    },
  };
  return { source, values, mostUnderWay: () => mostUnderWay };
}

secretSourceContract('the source in memory', () => {
  const { source, values } = memorySource();
  let version = 0;
  return {
    source,
    reference: { secretId: 'here' },
    absent: { secretId: 'absent' },
    put(text) {
      version += 1;
      values.set('here', { text, version: `v${version}` });
    },
  };
});

function setup(names: readonly string[] = ['a', 'b']) {
  const { source, values, mostUnderWay } = memorySource();
  const events: LogEvent[] = [];
  const clock = fakeClock();
  const held = secrets({
    round: () => ({
      secretsManager: (_name, place, signal) => source.read(place, signal),
      sealedFile: (_name, path, signal) => source.read({ secretId: path }, signal),
      [Symbol.dispose]: () => undefined,
    }),
    clock,
    log: (event) => events.push(event),
  });
  held.configure(Object.fromEntries(names.map((name) => [name, { secretsManager: { secretId: name } }])));
  const put = (name: string, text: string, version = `${text}-version`) =>
    values.set(name, { text: Buffer.from(text), version });
  const text = (name: string) => held.get(name)?.value.revealText();
  return { held, values, put, text, events, clock, mostUnderWay };
}

/** A secret that is a field of one value. */
const field = (jsonField: string) => ({ secretsManager: { secretId: 'prod/database', jsonField } });

describe('secrets', () => {
  it('reads all, each from its own source', async () => {
    const { held, put, text } = setup();
    held.configure({ a: { secretsManager: { secretId: 'prod/a' } }, b: { sealedFile: '/etc/b.sealed' } });
    put('prod/a', 'one');
    put('/etc/b.sealed', 'two');

    const { changed, failed } = await held.refresh(undefined, never);

    expect(changed.toSorted()).toEqual(['a', 'b']);
    expect(failed.size).toBe(0);
    expect([text('a'), text('b')]).toEqual(['one', 'two']);
  });

  it('reads the others when one fails, and keeps the last good value of that one', async () => {
    const { held, values, put, text, clock } = setup();
    put('a', 'one');
    put('b', 'two');
    await held.refresh(undefined, never);
    values.delete('a');
    put('b', 'three');
    const before = clock.now().toISOString();
    await clock.advance(60_000);

    const { changed, failed } = await held.refresh(undefined, never);

    expect(changed).toEqual(['b']);
    expect([...failed].map(([name, error]) => [name, error.code])).toEqual([['a', 'SECRET_NOT_FOUND']]);
    expect([text('a'), text('b')]).toEqual(['one', 'three']);
    expect(held.status()).toEqual([
      {
        name: 'a',
        source: 'secretsManager',
        version: 'one-version',
        readAt: before,
        failing: 'SECRET_NOT_FOUND',
      },
      { name: 'b', source: 'secretsManager', version: 'three-version', readAt: clock.now().toISOString() },
    ]);
  });

  it('reads those that are fields of one value together, also where one of them is asked for', async () => {
    const { held, put, text, mostUnderWay } = setup();
    held.configure({ user: field('user'), password: field('password'), c: { sealedFile: '/etc/c' } });
    put('prod/database', 'one');
    put('/etc/c', 'three');

    const { changed } = await held.refresh(['user'], never);

    expect(changed.toSorted()).toEqual(['password', 'user']);
    expect(text('c')).toBeUndefined();
    expect(mostUnderWay()).toBe(2);
  });

  it('audits each version once, a failure once until it changes, and its end', async () => {
    const { held, values, put, events } = setup(['a']);

    put('a', 'one');
    await held.refresh(undefined, never);
    await held.refresh(undefined, never);
    values.set('a', secretsError('SECRET_DENIED'));
    await held.refresh(undefined, never);
    await held.refresh(undefined, never);
    values.set('a', secretsError('SECRET_UNREACHABLE'));
    await held.refresh(undefined, never);
    put('a', 'one');
    await held.refresh(undefined, never);
    put('a', 'two');
    await held.refresh(undefined, never);

    expect(events.map(({ name, audit }) => [name, audit])).toEqual([
      ['secret.read', 'success'],
      ['secret.read-failed', 'failure'],
      ['secret.read-failed', 'failure'],
      ['secret.recovered', undefined],
      ['secret.read', 'success'],
    ]);
    expect(JSON.stringify(events)).not.toMatch(/"(?:one|two)"/u);
  });

  it('calls a value that changed under the same version changed', async () => {
    const { held, put } = setup(['a']);
    put('a', 'one', 'same');
    await held.refresh(undefined, never);
    put('a', 'two', 'same');

    expect((await held.refresh(undefined, never)).changed).toEqual(['a']);
  });

  it('reads only the names it is given, and knows which it has not', async () => {
    const { held, put, text } = setup();
    put('a', 'one');
    put('b', 'two');

    const { failed } = await held.refresh(['a', 'nobody'], never);

    expect(text('b')).toBeUndefined();
    expect(failed.get('nobody')?.code).toBe('SECRET_UNKNOWN');
  });

  it('keeps values across a new config for the secrets that stay', async () => {
    const { held, put, text } = setup();
    put('a', 'one');
    put('b', 'two');
    await held.refresh(undefined, never);

    held.configure({ a: { secretsManager: { secretId: 'a' } } });

    expect(text('a')).toBe('one');
    expect(held.get('b')).toBeUndefined();
  });

  it.each([
    ['another secret', { secretsManager: { secretId: 'elsewhere' } }],
    ['another field', { secretsManager: { secretId: 'a', jsonField: 'other' } }],
    ['another stage', { secretsManager: { secretId: 'a', versionStage: 'AWSPENDING' } }],
    ['another source', { sealedFile: '/etc/a.sealed' }],
  ])('a name that now means %s no longer has the value before', async (_what, place) => {
    const { held, values, put } = setup(['a']);
    put('a', 'one');
    await held.refresh(undefined, never);

    held.configure({ a: place });
    values.clear();
    await held.refresh(undefined, never);

    expect(held.get('a')).toBeUndefined();
    expect(held.status()).toMatchObject([{ failing: 'SECRET_NOT_FOUND' }]);
    expect(held.status()[0]).not.toHaveProperty('version');
  });

  it('a value that arrives after its name has moved is not taken for the new one', async () => {
    const { held, put, text } = setup(['a']);
    put('a', 'one');

    const reading = held.refresh(undefined, never);
    await Promise.resolve();
    held.configure({ a: { secretsManager: { secretId: 'elsewhere' } } });
    const { changed } = await reading;

    expect(changed).toEqual([]);
    expect(text('a')).toBeUndefined();
  });

  it('reads a few at once, not all', async () => {
    const names = Array.from({ length: 40 }, (_, n) => `s${n}`);
    const { held, put, mostUnderWay } = setup(names);
    for (const name of names) put(name, name);

    const { changed } = await held.refresh(undefined, never);

    expect(changed.length).toBe(40);
    expect(mostUnderWay()).toBe(8);
  });

  it('stops with the reason of an aborted signal and records no failure', async () => {
    const { held, events } = setup();
    const reason = new Error('stopping');

    await expect(held.refresh(undefined, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(events).toEqual([]);
  });
});

describe('secretsConfig', () => {
  it('accepts both kinds of place', () => {
    const config = {
      'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
      'tls-key': { sealedFile: '/etc/gatehouse/sealed/tls-key.sealed' },
    };

    expect(secretsConfig.parse(config)).toEqual(config);
  });

  it.each([
    { 'a b': { sealedFile: '/x' } },
    { a: {} },
    { a: { sealedFile: '/x', secretsManager: { secretId: 'x' } } },
    { a: { sealedFile: 'relative' } },
    { a: { sealedFile: '/etc/../x' } },
    { a: { sealedFile: '/etc/x/' } },
    { a: { sealedFile: '/x', value: 'hunter2' } },
    { a: { secretsManager: { secretId: '' } } },
  ])('refuses %o', (config) => {
    expect(secretsConfig.safeParse(config).success).toBe(false);
  });
});
