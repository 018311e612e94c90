import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { openLedger } from './ledger.ts';

const now = new Date('2026-01-02T03:04:05.006Z');
const proof = { fingerprint: 'abc', hasPassword: true, at: now };

function setup() {
  const file = join(temporaryDirectory(), 'ledger.db');
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const open = (busyMsMax = 0) => {
    const ledger = openLedger(file, { busyMsMax, owner });
    onTestFinished(() => {
      try {
        ledger.close();
      } catch {
        // The test closed it.
      }
    });
    return ledger;
  };
  return { file, open };
}

const brought = { name: 'tls-key', version: 1 };

describe('the ledger', () => {
  it('is private, and remembers across processes', () => {
    const { file, open } = setup();
    const ledger = open();
    expect(ledger.sealing()).toBeUndefined();
    ledger.adopt({ number: 1, createdAt: now, proof });
    ledger.close();

    expect(open().generations()).toEqual([{ number: 1, state: 'current', createdAt: now, proof }]);
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  });

  it('seals under the new generation from the beginning of a change to its end', () => {
    const { open } = setup();
    const ledger = open();
    ledger.adopt({ number: 1, createdAt: now });
    ledger.expect('/a', 1);

    ledger.begin({ number: 2, createdAt: now });

    expect(ledger.sealing()).toBe(2);
    expect(ledger.finish()).toBe(false);
    ledger.moved(() => new Map([['/a', 2]]));
    expect(ledger.finish()).toBe(true);
    expect(ledger.change()).toBeUndefined();
    expect(ledger.sealing()).toBe(2);
    expect(ledger.generations().map(({ state }) => state)).toEqual(['retired', 'current']);
  });

  it('seals under the old generation again when a change is given up', () => {
    const { open } = setup();
    const ledger = open();
    ledger.adopt({ number: 1, createdAt: now });
    ledger.begin({ number: 2, createdAt: now });
    ledger.sealed('/a', 2, brought, () => undefined);

    ledger.turnBack();

    expect(ledger.sealing()).toBe(1);
    expect(ledger.finish()).toBe(false);
    ledger.moved(() => new Map([['/a', 1]]));
    expect(ledger.finish()).toBe(true);
    expect(ledger.generations().map(({ state }) => state)).toEqual(['current', 'abandoned']);
  });

  it('begins no second change', () => {
    const { open } = setup();
    const [one, other] = [open(), open()];
    one.adopt({ number: 1, createdAt: now });
    one.expect('/a', 1);
    one.begin({ number: 2, createdAt: now });

    expect(() => other.begin({ number: 3, createdAt: now })).toThrow(
      expect.objectContaining({ code: 'MASTER_KEY_CHANGING' }),
    );
  });

  it('puts no file in its place that is sealed under what was just replaced', () => {
    const { open } = setup();
    const [sealing, changing] = [open(), open()];
    sealing.adopt({ number: 1, createdAt: now });
    sealing.expect('/a');
    changing.begin({ number: 2, createdAt: now });
    let commits = 0;

    expect(sealing.sealed('/a', 1, brought, () => (commits += 1))).toBe(false);
    expect(commits).toBe(0);
    expect(sealing.sealed('/a', 2, brought, () => (commits += 1))).toBe(true);
    expect(commits).toBe(1);
    expect(changing.count(2)).toEqual({ at: 1, all: 1 });
  });

  it('knows nothing of a commit that failed', () => {
    const { open } = setup();
    const ledger = open();
    ledger.adopt({ number: 1, createdAt: now });

    expect(() =>
      ledger.sealed('/a', 1, brought, () => {
        throw new Error('disk');
      }),
    ).toThrow('disk');
    expect(ledger.count(1)).toEqual({ at: 0, all: 0 });
    expect(ledger.seen('tls-key')).toEqual({ version: 0 });
  });

  it('gives files in order, piece by piece, without those at the generation', () => {
    const { open } = setup();
    const ledger = open();
    for (const path of ['/c', '/a', '/b']) ledger.expect(path, 1);
    ledger.expect('/d', 2);
    ledger.expect('/e');

    expect(ledger.filesNotAt(2, '', 2)).toEqual(['/a', '/b']);
    expect(ledger.filesNotAt(2, '/b', 9)).toEqual(['/c', '/e']);
    expect(ledger.files('/b', 9)).toEqual(['/c', '/d', '/e']);
    ledger.forget(['/a']);
    ledger.lookAgain(['/d']);
    expect(ledger.filesNotAt(2, '', 9)).toEqual(['/b', '/c', '/d', '/e']);
  });

  it('remembers the highest version, until an operator allows an older one', () => {
    const { open } = setup();
    const ledger = open();
    ledger.met(new Map([['tls-key', 3]]), new Map());
    ledger.met(new Map([['tls-key', 2]]), new Map());
    expect(ledger.seen('tls-key')).toEqual({ version: 3 });

    expect(ledger.allowOlder('tls-key')).toBe(3);
    expect(ledger.seen('tls-key')).toEqual({ version: 0, loweredFrom: 3 });
    ledger.met(new Map([['tls-key', 2]]), new Map());
    expect(ledger.seen('tls-key')).toEqual({ version: 2 });
    expect(ledger.allowOlder('never-seen')).toBeUndefined();
  });

  it('records what opened at once, and leaves files that are on record as they are', () => {
    const { open } = setup();
    const ledger = open();
    ledger.expect('/a', 1);

    ledger.met(
      new Map([
        ['one', 4],
        ['two', 1],
      ]),
      new Map([
        ['/a', 2],
        ['/b', 2],
      ]),
    );

    expect(ledger.allSeen()).toEqual(
      new Map([
        ['one', { version: 4 }],
        ['two', { version: 1 }],
      ]),
    );
    expect(ledger.filesNotAt(2, '', 9)).toEqual(['/a']);
    expect(ledger.files('', 9)).toEqual(['/a', '/b']);
  });

  it('says that another process keeps it busy, and that it is damaged', () => {
    const { file, open } = setup();
    const [one, other] = [open(), open()];
    one.adopt({ number: 1, createdAt: now });
    one.sealed('/a', 1, brought, () => {
      expect(() => other.expect('/b')).toThrow(expect.objectContaining({ code: 'LEDGER_BUSY' }));
    });
    one.close();
    other.close();
    writeFileSync(file, 'this is no database, whatever SQLite may make of it');

    expect(() => open()).toThrow(expect.objectContaining({ code: 'LEDGER_UNUSABLE' }));
  });
});
