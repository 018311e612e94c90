import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { Secret } from '../base/secret.ts';
import { type RunCommand, runCommand } from './command.ts';
import { systemError } from './errors.ts';
import { owners } from './owners.ts';

const never = new AbortController().signal;

/** A getent that answers from a table: a line, or an exit code. */
function setup(answers: Readonly<Record<string, string | number>> = {}) {
  const asked: string[][] = [];
  const run: RunCommand = async (argv) => {
    asked.push([...argv]);
    const answer = answers[argv.slice(2).join(' ')] ?? 2;
    const [stdout, exitCode] = typeof answer === 'string' ? [`${answer}\n`, 0] : ['', answer];
    return { stdout: Buffer.from(stdout), stderr: Secret.ofText(''), stderrBytes: 0, exitCode };
  };
  return { resolve: owners(run), asked };
}

describe('owners', () => {
  it('asks getent for names, and never takes one for an option', async () => {
    const { resolve, asked } = setup({
      'passwd app': 'app:x:1001:1002::/:/bin/sh',
      'group web': 'web:x:1003:a,b',
    });

    expect(await resolve('app', 'web', never)).toEqual({ uid: 1001, gid: 1003 });
    expect(asked).toEqual([
      ['getent', '--', 'passwd', 'app'],
      ['getent', '--', 'group', 'web'],
    ]);
  });

  it('takes numbers as they are and asks nobody', async () => {
    const { resolve, asked } = setup();

    expect(await resolve('0', '65534', never)).toEqual({ uid: 0, gid: 65_534 });
    expect(asked).toEqual([]);
  });

  it('leaves out what is not named', async () => {
    const { resolve } = setup({ 'group web': 'web:x:1003:' });

    expect(await resolve(undefined, undefined, never)).toEqual({});
    expect(await resolve(undefined, 'web', never)).toEqual({ gid: 1003 });
  });

  it.each([
    ['nobody knows it', {}, 'app', 'OWNER_UNKNOWN'],
    ['the entry is of another name', { 'passwd app': 'other:x:0:0::/:' }, 'app', 'OWNER_UNKNOWN'],
    ['the entry is no entry', { 'passwd app': 'app:x:root' }, 'app', 'OWNER_UNKNOWN'],
    ['the number means "leave as it is"', {}, '4294967295', 'OWNER_UNKNOWN'],
    ['the lookup fails', { 'passwd app': 1 }, 'app', 'OWNER_LOOKUP_FAILED'],
  ])('refuses a user when %s', async (_what, answers, owner, code) => {
    const { resolve } = setup(answers);

    await expect(resolve(owner, undefined, never)).rejects.toMatchObject({ code });
  });

  it('reads the local files where there is no getent', async () => {
    const resolve = owners(async () => {
      throw systemError('COMMAND_NOT_FOUND', { command: 'getent' });
    });

    expect(await resolve('root', 'root', never)).toEqual({ uid: 0, gid: 0 });
    await expect(resolve('no-such-user', undefined, never)).rejects.toMatchObject({ code: 'OWNER_UNKNOWN' });
  });

  it('finds the user of this process with the real getent', async () => {
    const { username, uid } = userInfo();

    expect(await owners(runCommand)(username, undefined, never)).toEqual({ uid });
  });
});
