import { once } from 'node:events';
import { renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { connect as connectPlainly } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { authority, type Issued } from '../../../test/support/certificates.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { reading } from '../event-source.contract.ts';
import { syslogSource } from './syslog.ts';

async function setup(areClientsAsked = false) {
  const folder = temporaryDirectory();
  const certificate = join(folder, 'certificate.pem');
  const privateKey = join(folder, 'private-key.pem');
  const root = await authority();
  const [first, second] = await Promise.all([root.issue(), root.issue()]);
  let puts = 0;
  const put = ({ pem }: Issued, { keyPem }: Issued): void => {
    writeFileSync(certificate, pem);
    writeFileSync(privateKey, keyPem);
    puts += 1;
    // Of their own: files that are written within one tick of the kernel's clock may have the same time.
    for (const path of [certificate, privateKey]) utimesSync(path, puts, puts);
  };
  put(first, first);
  const clientAuthorities = join(folder, 'clients.pem');
  writeFileSync(clientAuthorities, root.pem);
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const listening = Promise.withResolvers<number>();
  const source = syslogSource({
    name: 'network',
    tls: {
      address: '127.0.0.1:0',
      certificate,
      privateKey,
      ...(areClientsAsked ? { clientAuthorities } : {}),
    },
    format: 'raw',
    mode: '0600',
    clock,
    log: (event) => events.push(event),
    onListening: (_transport, port) => listening.resolve(port ?? 0),
  });
  const read = reading(source);
  const port = await listening.promise;
  return {
    clock,
    port,
    read,
    put,
    first,
    second,
    certificate,
    refused: () =>
      events.filter(({ name }) => name === 'events.peer-refused').map(({ fields }) => fields['reason']),
    said: () =>
      events
        .filter(({ name }) => name.startsWith('events.certificate'))
        .map(({ name, fields }) => [name, fields]),
    /** Sends a line, and says which certificate the server has. */
    send: (line: string): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0));
          socket.end(`${line}\n`);
        });
        onTestFinished(() => void socket.destroy());
        socket.on('error', reject);
      }),
  };
}

test('a certificate that was renewed is used within a minute, and said', async () => {
  const { clock, read, put, first, second, certificate, said, send } = await setup();
  expect((await send('one')).equals(first.der)).toBe(true);

  put(second, second);
  await clock.advance(60_000);

  expect((await send('two')).equals(second.der)).toBe(true);
  await vi.waitFor(() => expect(read.messages).toEqual(['one', 'two']), patient);
  expect(said()).toEqual([['events.certificate-changed', { source: 'network', path: certificate }]]);
});

test('one that cannot be used is said once, and the one before stays', async () => {
  const { clock, read, put, first, second, certificate, said, send } = await setup();

  put(second, first);
  await clock.advance(180_000);

  expect((await send('one')).equals(first.der)).toBe(true);
  const where = { source: 'network', path: certificate };
  const failed = ['events.certificate-failed', { ...where, reason: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' }];
  expect(said()).toEqual([failed]);
  put(second, second);
  await clock.advance(60_000);
  expect((await send('two')).equals(second.der)).toBe(true);
  expect(said()).toEqual([failed, ['events.certificate-changed', where]]);
  await vi.waitFor(() => expect(read.messages).toEqual(['one', 'two']), patient);
});

test('one that cannot even be looked at is said, and ends nothing', async () => {
  const { clock, read, put, first, second, certificate, said, send } = await setup();
  const where = { source: 'network', path: certificate };

  rmSync(certificate);
  symlinkSync(certificate, certificate);
  await clock.advance(120_000);

  expect(said()).toEqual([['events.certificate-failed', { ...where, reason: 'ELOOP' }]]);
  expect((await send('one')).equals(first.der)).toBe(true);
  rmSync(certificate);
  put(second, second);
  await clock.advance(60_000);
  expect((await send('two')).equals(second.der)).toBe(true);
  await vi.waitFor(() => expect(read.messages).toEqual(['one', 'two']), patient);
});

test('that it failed is said again where it was in order meanwhile', async () => {
  const { clock, certificate, said } = await setup();
  const aside = `${certificate}.aside`;

  renameSync(certificate, aside);
  await clock.advance(60_000);
  renameSync(aside, certificate);
  await clock.advance(60_000);
  renameSync(certificate, aside);
  await clock.advance(60_000);

  const failed = ['events.certificate-failed', { source: 'network', path: certificate, reason: 'ENOENT' }];
  expect(said()).toEqual([failed, failed]);
});

test('a peer that says who it is only after the stop is sent away: nobody would take what it sends', async () => {
  const { port, read, send } = await setup();
  const early = connectPlainly(port, '127.0.0.1');
  onTestFinished(() => void early.destroy());
  await once(early, 'connect');
  // Accepted after it.
  await send('one');
  await vi.waitFor(() => expect(read.messages).toEqual(['one']), patient);
  await read.stop();

  const late = connect({ socket: early, rejectUnauthorized: false }).on('error', () => undefined);
  late.write('two\n');

  await once(late, 'close');
});

test('who has no certificate where one is asked for is refused, and still is with one that was renewed', async () => {
  const { clock, port, read, put, first, second, refused } = await setup(true);
  const sent = async (line: string, own: Partial<{ cert: string; key: string }>): Promise<void> => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...own });
    socket.on('error', () => undefined).end(`${line}\n`);
    await new Promise((resolve) => socket.once('close', resolve));
  };
  const known = { cert: first.pem, key: first.keyPem };
  await sent('one', known);
  await sent('not this', {});

  put(second, second);
  await clock.advance(60_000);
  await sent('nor this', {});
  await sent('two', known);

  await vi.waitFor(() => expect(read.messages).toEqual(['one', 'two']), patient);
  await read.stop();
  expect(refused()).toEqual(Array.from({ length: 2 }, () => 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'));
});
