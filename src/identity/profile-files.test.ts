import { expect, test } from 'vitest';
import { profileFiles } from './profile-files.ts';

test('files of profiles lie in the home that the environment names, else in that of the account', () => {
  expect(profileFiles({ HOME: '/home/app' })).toEqual({
    config: '/home/app/.aws/config',
    credentials: '/home/app/.aws/credentials',
  });
  expect(profileFiles({}, () => '/root').config).toBe('/root/.aws/config');
});

test('a user without an account, as in a container, has them in the root folder', () => {
  const files = profileFiles({}, () => {
    throw new Error('uv_os_homedir returned ENOENT');
  });

  expect(files).toEqual({ config: '/.aws/config', credentials: '/.aws/credentials' });
});
