import { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import type { Invocation } from './command.ts';
import { type PasswordPlace, passwordsOf } from './password.ts';

/** A terminal at which these keys are typed, one line for each prompt; or none. */
function setup(lines?: readonly string[], env: Record<string, string> = {}) {
  const modes: boolean[] = [];
  const shown: string[] = [];
  const waiting = [...(lines ?? [])];
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: lines !== undefined,
    setRawMode: (isRaw: boolean) => modes.push(isRaw),
    resume: () => undefined,
    pause: () => undefined,
  });
  const stderr = {
    write(text: string) {
      shown.push(text);
      const line = text.endsWith(': ') ? waiting.shift() : undefined;
      // Byte by byte, as a slow typist does it.
      if (line !== undefined) {
        setImmediate(() => {
          for (const byte of Buffer.from(line)) stdin.emit('data', Buffer.of(byte));
        });
      }
    },
  };
  const invocation = { stdin, stderr, env } as unknown as Invocation;
  const passwords = (current: PasswordPlace = {}, next: PasswordPlace = {}) =>
    passwordsOf({ current, next }, invocation);
  return { passwords, modes, shown };
}

describe('a password', () => {
  it('is typed without being shown, with the keys that mend it', async () => {
    const { passwords, modes, shown } = setup(['wrong\u0015correcx\u007ft horsé\u007fe\r']);

    const password = await passwords().current();

    expect(password.revealText()).toBe('correct horse');
    expect(modes).toEqual([true, false]);
    expect(shown).toEqual(['Password of the master key: ', '\n']);
  });

  it('that is broken off by Ctrl-C stops the command, with the terminal as it was', async () => {
    const { passwords, modes } = setup(['hal\u0003']);

    await expect(passwords().current()).rejects.toMatchObject({ name: 'StopRequested', exitCode: 130 });
    expect(modes).toEqual([true, false]);
  });

  it('that is new is typed twice the same', async () => {
    const same = setup(['one and the same\n', 'one and the same\n']);
    const other = setup(['one and the same\n', 'one and the sane\n']);

    expect((await same.passwords().next()).revealText()).toBe('one and the same');
    await expect(other.passwords().next()).rejects.toMatchObject({ code: 'PASSWORDS_DIFFER' });
  });

  it('is the line in a file, or in a credential of systemd', async () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, 'with'), 'from a file\n');
    writeFileSync(join(folder, 'without'), 'from a file');
    const { passwords } = setup(undefined, { CREDENTIALS_DIRECTORY: folder });

    for (const place of [
      { file: join(folder, 'with') },
      { file: join(folder, 'without') },
      { credential: 'with' },
    ]) {
      expect((await passwords(place).current()).revealText()).toBe('from a file');
    }
  });

  it.each([{}, { credential: 'x' }, { credential: '../x' }])(
    'is missing without a place: %o',
    async (place) => {
      await expect(setup().passwords(place).current()).rejects.toMatchObject({ code: 'PASSWORD_MISSING' });
    },
  );

  it.each([{}, { credential: 'x' }])(
    'that is new is missing under the flag that gives it: %o',
    async (place) => {
      const flag = '--new-password-file';
      const next = setup()
        .passwords({}, { ...place, absent: 'NEW_PASSWORD_MISSING' })
        .next();

      await expect(next).rejects.toMatchObject({
        row: { remedy: expect.stringContaining(flag), exitCode: 64 },
      });
    },
  );
});
