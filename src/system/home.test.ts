import { expect, test } from 'vitest';
import { giveHome } from './home.ts';

test('a user without an account, as in a container, has the root folder for a home', () => {
  const env = {};

  giveHome(env, () => {
    throw new Error('uv_os_homedir returned ENOENT');
  });

  expect(env).toEqual({ HOME: '/' });
});

test('whoever has a home keeps it', () => {
  const env = {};

  giveHome(env, () => '/root');

  expect(env).toEqual({});
});
