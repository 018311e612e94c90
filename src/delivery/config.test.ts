import { expect, test } from 'vitest';
import { execConfig } from './config.ts';

function isTaken(variable: string): boolean {
  return execConfig.safeParse({ environment: { [variable]: 'a-secret' } }).success;
}

test.each([
  'PATH',
  'HOME',
  'BASH_ENV',
  'SHELLOPTS',
  'LD_PRELOAD',
  'OPENSSL_CONF',
  'SSLKEYLOGFILE',
  'NODE_OPTIONS',
  'npm_config_script_shell',
  'PYTHONSTARTUP',
  'JAVA_TOOL_OPTIONS',
  '_JAVA_OPTIONS',
  'JDK_JAVA_OPTIONS',
  'DOTNET_STARTUP_HOOKS',
  'CORECLR_PROFILER_PATH',
  'PHP_INI_SCAN_DIR',
  'LUA_INIT',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
])('a secret is not put into %s, which decides what the command runs', (variable) => {
  expect(isTaken(variable)).toBe(false);
});

test.each(['GATEHOUSE_CONFIG', 'NOTIFY_SOCKET', 'LISTEN_FDS'])('%s is for the agent alone', (variable) => {
  expect(isTaken(variable)).toBe(false);
});

test.each([
  'DATABASE_PASSWORD',
  'AWS_SECRET_ACCESS_KEY',
  'DOTNET_ConnectionStrings__Main',
  'HOMEPAGE_TOKEN',
  'API_PATH',
])('a secret is put into %s', (variable) => {
  expect(isTaken(variable)).toBe(true);
});
