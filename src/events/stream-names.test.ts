import { array, assert, constantFrom, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import type { LogEvent } from '../base/log-events.ts';
import { eventsConfig } from './config.ts';
import { streamFields, streamNames } from './stream-names.ts';

function setup(source: Record<string, unknown>, others: Record<string, unknown> = {}) {
  const config = eventsConfig.parse({ sources: { app: { files: ['/x'], ...source }, ...others } });
  const events: LogEvent[] = [];
  const streamOf = streamNames('app', config, { name: 'web-1' }, (event) => events.push(event));
  return { config, streamOf, said: () => events.map(({ name, fields }) => [name, fields]) };
}

test('names a stream by the file, and by nothing else where nothing else is asked for', () => {
  const { config, streamOf, said } = setup({ logStream: '{file}' });

  expect(streamFields('app', config)).toEqual([]);
  expect(streamOf('/var/log/a')).toEqual({ logGroup: '/gatehouse/web-1', logStream: '/var/log/a' });
  expect(streamOf(undefined).logStream).toBe('-');
  expect(said()).toEqual([]);
  expect(streamOf('/var/log/a:b').logStream).toBe('/var/log/a-b');
  expect(said()).toMatchObject([['events.name-replaced', { kind: 'logStream', name: '/var/log/a-b' }]]);
});

test('says that a source without files has no name for {file}', () => {
  const { streamOf, said } = setup({ files: undefined, stdin: true, logStream: '{file}' });

  expect(streamOf(undefined).logStream).toBe('-');
  expect(said()).toMatchObject([['events.name-replaced', { kind: 'logStream', name: '-' }]]);
});

test('what a source does not say itself is as the config says for all', () => {
  const { config, streamOf } = setup({});
  const own = setup({ logGroup: '/own/{name}', roleArn: 'arn:aws:iam::123456789012:role/Logs' });

  expect(streamFields('app', config)).toEqual([]);
  expect(streamOf('/x')).toEqual({ logGroup: '/gatehouse/web-1', logStream: 'app' });
  expect(own.streamOf('/x')).toEqual({ logGroup: '/own/web-1', logStream: 'app', roleOf: 'app' });
});

test('says each name that was replaced once, whatever names come in between', () => {
  const { streamOf, said } = setup({ logStream: '{file}' });

  for (const file of ['/a:b', '/c', '/a:b', '/d:e']) streamOf(file);

  expect(said()).toMatchObject([
    ['events.name-replaced', { name: '/a-b' }],
    ['events.name-replaced', { name: '/d-e' }],
  ]);
});

test('the output of a command has {file}, and who only asks for its role has none', () => {
  const { streamOf, said } = setup({ files: undefined, exec: true, logStream: '{file}' });

  expect([streamOf(undefined).logStream, streamOf('stdout').logStream]).toEqual(['-', 'stdout']);
  expect(said()).toEqual([]);
});

test('names a stream by fields of events, and says which characters it may not have', () => {
  const { config, streamOf, said } = setup({ logStream: '{source}/{field.service}/{field.k8s.pod}' });

  expect(streamFields('app', config)).toEqual(['service', 'k8s.pod']);
  expect(streamOf(undefined, ['api', 'p-1']).logStream).toBe('app/api/p-1');
  expect(streamOf(undefined, ['a:b*', 'p']).logStream).toBe('app/a-b-/p');
  expect(streamOf(undefined, ['api', '']).logStream).toBe('app/api/-');
  expect(streamOf(undefined).logStream).toBe('app/-/-');
  expect(said()).toEqual([
    ['events.name-replaced', { kind: 'logStream', name: 'app/a-b-/p', source: 'app' }],
  ]);
});

test('what would be one stream more than there may be goes where events without the field go', () => {
  const { streamOf, said } = setup({ logStream: 'app/{field.service}', streamsMax: 2 });

  const names = ['a', 'b', 'c', 'a', 'd', ''].map((service) => streamOf(undefined, [service]).logStream);

  expect(names).toEqual(['app/a', 'app/b', 'app/-', 'app/a', 'app/-', 'app/-']);
  expect(said()).toEqual([['events.streams-too-many', { source: 'app', name: 'app/c', streams: 2 }]]);
});

test('events without the field, and other values that make the same name, need no stream more', () => {
  const { streamOf, said } = setup({ logStream: 'app/{field.service}', streamsMax: 1 });

  const names = ['', 'a:', 'a-', 'a*'].map((service) => streamOf(undefined, [service]).logStream);

  expect(names).toEqual(['app/-', 'app/a-', 'app/a-', 'app/a-']);
  expect(said().filter(([name]) => name === 'events.streams-too-many')).toEqual([]);
});

test('of a value longer than a name, no more is remembered', () => {
  const { streamOf, said } = setup({ logStream: '{field.service}' });

  const names = ['a', 'b'].map((end) => streamOf(undefined, ['x'.repeat(600) + end]).logStream);

  expect(names).toEqual([names[0], 'x'.repeat(512)]);
  expect(said()).toHaveLength(1);
});

test('no event names the stream of an audit, or of its heads', () => {
  const { streamOf } = setup(
    { logStream: '{field.service}' },
    { trail: { audit: true }, other: { audit: true, logStream: '{name}/audit' } },
  );

  expect(streamOf(undefined, ['trail']).logStream).toBe('-');
  expect(streamOf(undefined, ['trail.heads']).logStream).toBe('-');
  expect(streamOf(undefined, ['web-1/audit']).logStream).toBe('-');
  expect(streamOf(undefined, ['trail2']).logStream).toBe('trail2');
});

test('whatever events say, the names are few and CloudWatch Logs takes them', () => {
  const piece = constantFrom('a', ':', '*', '\0', 'ü', '😀', '/', 'x'.repeat(600));
  assert(
    property(
      array(
        array(piece).map((pieces) => pieces.join('')),
        { maxLength: 50 },
      ),
      string(),
      (values, file) => {
        const { streamOf } = setup({ logStream: '{file}{field.a}', streamsMax: 5 });
        const names = new Set(values.map((value) => streamOf(file, [value]).logStream));

        expect(names.size).toBeLessThanOrEqual(6);
        for (const name of names) expect(name).toMatch(/^[^:*\p{Cc}]{1,512}$/su);
      },
    ),
  );
});
