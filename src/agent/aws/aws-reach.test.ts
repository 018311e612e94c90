import { expect, test } from 'vitest';
import { awsReach } from './aws-reach.ts';

const proxyIn = (env: Readonly<Record<string, string>>) => awsReach('STS', env).proxyEnv.HTTPS_PROXY;

test.each([
  [{}, undefined],
  [{ HTTPS_PROXY: '' }, undefined],
  [{ HTTPS_PROXY: 'http://proxy.example:3128' }, 'http://proxy.example:3128'],
  [{ https_proxy: 'https://user:p%40ss@proxy.example' }, 'https://user:p%40ss@proxy.example'],
  [{ HTTPS_PROXY: 'proxy.example:3128' }, 'http://proxy.example:3128'],
  [{ HTTPS_PROXY: 'user:secret@proxy.example:3128' }, 'http://user:secret@proxy.example:3128'],
  [{ HTTPS_PROXY: '[fd00::1]:3128' }, 'http://[fd00::1]:3128'],
  [{ HTTPS_PROXY: 'HTTP://proxy.example:3128/' }, 'http://proxy.example:3128'],
  [{ HTTPS_PROXY: ' http://user:p%40ss@proxy.example:3128\n' }, 'http://user:p%40ss@proxy.example:3128'],
])('the proxy of %j is %s', (env, proxy) => {
  expect(proxyIn(env)).toBe(proxy);
});

test.each([
  ['HTTPS_PROXY', 'socks5://user:secret@proxy.example:1080'],
  ['https_proxy', 'user:secret@proxy.example:port'],
  ['HTTPS_PROXY', 'http://user:secret@'],
  ['HTTPS_PROXY', 'user:secret@proxy example'],
  ['HTTPS_PROXY', 'http://user:secret%@proxy.example:3128'],
])('%s=%s is refused and not shown, rather than left out', (variable, value) => {
  let failure: unknown;
  try {
    proxyIn({ [variable]: value });
  } catch (error) {
    failure = error;
  }

  expect(failure).toMatchObject({ code: 'AWS_PROXY_INVALID', details: { variable } });
  expect(JSON.stringify(failure)).not.toContain('secret');
});
