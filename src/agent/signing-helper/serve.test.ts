import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { hourlySource } from '../../../test/support/hourly-source.ts';
import type { identityError } from '../../identity/errors.ts';
import { serve } from './serve.ts';

/** A source that hands out an hour at a time unless it is in trouble, served. */
function setup(trouble?: Parameters<typeof identityError>[0]) {
  const clock = fakeClock();
  const stop = new AbortController();
  const { source, world } = hourlySource(clock, 'secret', trouble);
  const listening = Promise.withResolvers<string>();
  const logged: { event: string }[] = [];
  const ended = serve(
    { clock, logForm: 'json', writeLog: (line) => void logged.push(JSON.parse(line)) },
    source,
    {
      port: 0,
      roleArn: 'arn:aws:iam::123456789012:role/path/App',
      region: 'eu-west-1',
      onListening: listening.resolve,
    },
    stop.signal,
  );
  ended.catch(listening.reject);
  listening.promise.catch(() => undefined);
  onTestFinished(async () => {
    stop.abort(new Error('over'));
    await ended.catch(() => undefined);
  });

  const ask = async (path: string): Promise<Response> => {
    const url = await listening.promise;
    const token = await fetch(`${url}latest/api/token`, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' },
    });
    return fetch(`${url}latest/${path}`, {
      headers: { 'x-aws-ec2-metadata-token': await token.text() },
    });
  };
  return { clock, stop, world, ended, ask, logged };
}

const credentialsPath = 'meta-data/iam/security-credentials/App';

test('credentials of a source are served as those of an instance role, by the name of the role', async () => {
  const { ask } = setup();

  expect(await (await ask('meta-data/iam/security-credentials/')).text()).toBe('App');
  expect(await (await ask(credentialsPath)).json()).toMatchObject({
    Code: 'Success',
    AccessKeyId: 'ASIA1',
    SecretAccessKey: 'secret',
    Token: 'token',
  });
  expect(await (await ask('dynamic/instance-identity/document')).json()).toMatchObject({
    accountId: '123456789012',
    region: 'eu-west-1',
  });
});

test('they are renewed ahead of their end', async () => {
  const { ask, clock, world } = setup();
  await ask(credentialsPath);

  for (let minute = 0; minute < 46; minute += 1) await clock.advance(60_000);

  expect(world.loads).toBe(2);
  expect(await (await ask(credentialsPath)).json()).toMatchObject({ AccessKeyId: 'ASIA2' });
});

test('once they have expired and cannot be renewed, the answer is an error with the reason, never success', async () => {
  const { ask, clock, world } = setup();
  await ask(credentialsPath);
  world.trouble = 'CREDENTIALS_STS_UNREACHABLE';

  for (let minute = 0; minute < 59; minute += 1) await clock.advance(60_000);
  expect((await ask(credentialsPath)).status).toBe(200);
  await clock.advance(2 * 60_000);
  const expired = await ask(credentialsPath);

  expect(expired.status).toBe(503);
  expect(await expired.json()).toEqual({
    code: 'CREDENTIALS_EXPIRED',
    message: 'the credentials have expired and could not be renewed < CREDENTIALS_STS_UNREACHABLE',
  });
});

test('AWS out of reach at the start is answered as such until it is there', async () => {
  const { ask, clock, world } = setup('CREDENTIALS_STS_UNREACHABLE');

  expect((await ask(credentialsPath)).status).toBe(503);
  world.trouble = undefined;
  for (let minute = 0; minute < 10; minute += 1) await clock.advance(60_000);

  expect((await ask(credentialsPath)).status).toBe(200);
});

test('what somebody has to mend ends it at the start', async () => {
  const { ended } = setup('CREDENTIALS_REFUSED');

  await expect(ended).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });
});

test('told to stop, it stops', async () => {
  const { ask, stop, ended } = setup();
  await ask(credentialsPath);

  stop.abort(new Error('enough'));

  await expect(ended).resolves.toBeUndefined();
});
