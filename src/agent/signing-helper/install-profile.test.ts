import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { rolesAnywhereHost } from '../../../test/support/roles-anywhere.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { systemClock } from '../../base/clock.ts';
import { installProfile } from './install-profile.ts';

test('profiles that are installed within one second each leave a copy of what was there', async () => {
  const home = temporaryDirectory();
  const aws = join(home, '.aws');
  mkdirSync(aws);
  const first = '[default]\nregion = eu-west-1\n';
  writeFileSync(join(aws, 'config'), first);
  const { identity } = await rolesAnywhereHost(createSandbox(), home);
  const now = new Date();
  const launch = { env: { HOME: home }, clock: { ...systemClock, now: () => now } };

  for (const profile of ['one', 'two', 'three']) {
    await installProfile(launch, {
      profile,
      identity,
      program: ['/usr/bin/gatehouse'],
      flags: [],
      isForced: false,
    });
  }

  const copies = readdirSync(aws).filter((name) => name !== 'config');
  const texts = copies.map((name) => readFileSync(join(aws, name), 'utf8'));
  expect(texts).toHaveLength(3);
  expect(texts).toContain(first);
  expect(new Set(texts).size).toBe(3);
});

test('a config that is no UTF-8 is refused and stays as it is', async () => {
  const home = temporaryDirectory();
  const file = join(home, '.aws', 'config');
  const latin1 = Buffer.from('# für uns\n[default]\nregion = eu-west-1\n', 'latin1');
  mkdirSync(join(home, '.aws'));
  writeFileSync(file, latin1);
  const { identity } = await rolesAnywhereHost(createSandbox(), home);
  const wanted = { profile: 'one', identity, program: ['/usr/bin/gatehouse'], flags: [], isForced: false };

  const installing = installProfile({ env: { HOME: home }, clock: systemClock }, wanted);

  await expect(installing).rejects.toMatchObject({ code: 'AWS_FILE_NOT_TEXT', details: { path: file } });
  expect(readFileSync(file)).toEqual(latin1);
  expect(readdirSync(join(home, '.aws'))).toEqual(['config']);
});
