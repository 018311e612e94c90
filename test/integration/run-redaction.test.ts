import { expect, it } from 'vitest';
import { canary, searchCanaries } from '../support/canary.ts';
import { eventually, setup } from '../support/host.ts';

it('a secret that a program logs is shipped in no form, from the first line on, and is told', async () => {
  const host = await setup();
  const secret = canary('logged password');
  await host.operator.putSecret('prod/database', JSON.stringify({ user: 'app', password: secret.value }));
  const forms = secret.forms.filter(({ form }) => form !== 'in part');
  // There before the agent starts: nothing is read before the secrets are known.
  host.log(forms.map(({ form, bytes }) => `${form} >${bytes.toString('utf8')}< end`));

  const agent = await host.started();
  const messages = await host.arrived(forms.length);

  expect(messages).toEqual(forms.map(({ form }) => `${form} >[secret database-password]< end`));
  const redacted = await eventually('the audit record', () =>
    host.audit().find(({ event }) => event === 'events.secret-redacted'),
  );
  expect(redacted).toMatchObject({
    outcome: 'failure',
    fields: { source: 'app', secret: 'database-password' },
  });
  const shipped = host.messages().join('\n');
  expect(searchCanaries([secret], { buffers: { shipped } }).findings).toEqual([]);
  await agent.stop();
});

it('a value that was changed is known to the redaction before anybody has it', async () => {
  const host = await setup();
  const agent = await host.started();
  const next = canary('next password', { plain: true });

  await host.operator.putSecret('prod/database', JSON.stringify({ user: 'app', password: next.value }));
  agent.kill('SIGHUP');
  await eventually('the delivery', () => host.delivered() === next.value || undefined);
  // As fast as a program can that waits for its file.
  host.log([`connected with ${next.value}`, `no longer with ${host.password.value}`]);

  expect(await host.arrived(2)).toEqual([
    'connected with [secret database-password]',
    'no longer with [secret database-password]',
  ]);
  await agent.stop();
});

it('where the config says so, lines are shipped as they are', async () => {
  const host = await setup({
    gateway({ events }) {
      Object.assign(events ?? {}, { redaction: { secrets: false } });
    },
  });
  const agent = await host.started();

  host.log([`password is ${host.password.value}`]);

  expect(await host.arrived(1)).toEqual([`password is ${host.password.value}`]);
  await agent.stop();
});

it('what matches a pattern of the config is shipped by no source, and is told', async () => {
  const host = await setup({
    gateway({ events }) {
      const patterns = { card: '\\b\\d{4}(?: \\d{4}){3}\\b' };
      Object.assign(events ?? {}, { redaction: { patterns } });
    },
  });
  const agent = await host.started();

  host.log(['paid with 4111 1111 1111 1111', `and ${host.password.value}`]);

  expect(await host.arrived(2)).toEqual(['paid with [redacted card]', 'and [secret database-password]']);
  const record = await eventually('the audit record', () =>
    host.audit().find(({ event }) => event === 'events.pattern-redacted'),
  );
  expect(record).toMatchObject({ outcome: 'failure', fields: { source: 'app', pattern: 'card' } });
  await agent.stop();
});
