import { expect, it } from 'vitest';
import { eventually, type Host, setup } from '../support/host.ts';

/** A host whose agent had lines refused, with the messages of them. */
async function withRefused(messages: readonly string[]): Promise<Host> {
  const host = await setup();
  await host.started();
  const refusal = host.sandbox.faults.add({
    service: 'logs',
    operation: 'PutLogEvents',
    effect: { kind: 'error', name: 'InvalidParameterException', status: 400 },
  });
  host.log([...messages]);
  await eventually('the refusals', async () => {
    const { letters } = await listed(host);
    return messages.every((_message, index) => letters[index] !== undefined) || undefined;
  });
  host.sandbox.faults.remove(refusal);
  return host;
}

interface Listed {
  readonly letters: readonly { readonly id: number; readonly stream: { readonly logStream: string } }[];
  readonly total: number;
}

async function listed(host: Host): Promise<Listed> {
  const { stdout } = await host.run(['events', 'dead-letter', 'list', '--json']);
  const list: Listed = JSON.parse(stdout);
  return { ...list, letters: list.letters.filter(({ stream }) => stream.logStream === 'app') };
}

it('events that were refused are listed, shown, and sent again', async () => {
  const host = await withRefused(['one', 'two']);
  const { letters } = await listed(host);
  const [first, second] = letters.map(({ id }) => String(id));

  const list = await host.run(['events', 'dead-letter', 'list']);
  const shown = await host.run(['events', 'dead-letter', 'show', first ?? '']);
  const retried = await host.run(['events', 'dead-letter', 'retry', `${first},${second}`]);

  expect(list.stdout).toMatch(/^ID +REASON +REFUSED +BYTES +STREAM$/mu);
  expect(list.stdout).toMatch(new RegExp(`^${first} +invalid +\\S+ +\\d+ +/gatehouse/web-1:app$`, 'mu'));
  expect(shown.stdout).toMatch(/^message +one$/mu);
  expect(retried.stdout).toBe('2 events are sent again\n');
  expect((await host.arrived(2)).toSorted()).toStrictEqual(['one', 'two']);
  expect((await listed(host)).letters).toStrictEqual([]);
});

it('events that were refused are dropped by number or all, and a number that is not there is said', async () => {
  const host = await withRefused(['one', 'two', 'three']);
  const { letters } = await listed(host);

  const dropped = await host.run(['events', 'dead-letter', 'drop', String(letters[1]?.id)]);
  const again = await host.run(['events', 'dead-letter', 'drop', String(letters[1]?.id)]);
  const shown = await host.run(['events', 'dead-letter', 'show', String(letters[1]?.id)]);
  const unnamed = await host.run(['events', 'dead-letter', 'drop']);
  const noNumber = await host.run(['events', 'dead-letter', 'show', 'one']);
  const left = (await listed(host)).letters.length;
  const all = await host.run(['events', 'dead-letter', 'drop', '--all', '--json']);

  expect(dropped).toMatchObject({ code: 0, stdout: '1 events were dropped\n' });
  expect(again.stderr).toContain('(EVENTS_LETTER_MISSING)');
  expect([again.code, shown.code, unnamed.code, noNumber.code]).toStrictEqual([66, 66, 64, 64]);
  expect(left).toBe(2);
  expect(all.code).toBe(0);
  expect((await listed(host)).total).toBe(0);
});

it('what an operator does with refused events is audited', async () => {
  const host = await withRefused(['one']);
  const { letters } = await listed(host);

  await host.run(['events', 'dead-letter', 'show', String(letters[0]?.id)]);
  await host.run(['events', 'dead-letter', 'drop', '--all']);

  const audit = await eventually('both records', () => {
    const text = JSON.stringify(host.sandbox.state.logs);
    return text.includes('events.dead-letter-shown') && text.includes('events.dead-letter-dropped')
      ? text
      : undefined;
  });

  expect(audit.match(/events\.dead-letter-shown/gu)).toHaveLength(1);
});

it('a test event arrives, and says how long it took', async () => {
  const host = await setup();
  await host.started();

  const { code, stdout } = await host.run(['events', 'test', '--json']);
  const sent: { logStream: string; message: string; tookMs: number } = JSON.parse(stdout);

  expect(code).toBe(0);
  expect(sent).toMatchObject({ logStream: 'app', tookMs: expect.any(Number) });
  expect(await host.arrived(1)).toStrictEqual([sent.message]);
});

it('a test event that is not taken is said with the cause: 75, and it waits', async () => {
  const host = await setup();
  await host.started();
  host.sandbox.faults.add({
    service: 'logs',
    effect: { kind: 'error', name: 'AccessDeniedException', status: 400 },
  });

  const { code, stderr } = await host.run(['events', 'test']);

  expect(stderr).toContain('(EVENTS_TEST_NOT_TAKEN)');
  expect(stderr).toContain('code EVENTS_DENIED');
  expect(code).toBe(75);
  host.sandbox.faults.clear();
  await host.arrived(1);
});

it('a source that is not there is said, with those that are', async () => {
  const host = await setup();
  await host.started();

  const { code, stderr } = await host.run(['events', 'test', '--source', 'absent']);

  expect(stderr).toContain('sources app, agent');
  expect(code).toBe(64);
});
