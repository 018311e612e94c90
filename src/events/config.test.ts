import { describe, expect, test } from 'vitest';
import { eventsConfig } from './config.ts';

function problems(config: unknown): string[] {
  const { error } = eventsConfig.safeParse(config);
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

/** A path of so many bytes that ends with this name. */
const pathOf = (bytes: number, name: string) =>
  `/run/${'x'.repeat(bytes - '/run//'.length - name.length)}/${name}`;

/** Of the config of two sources with this socket. */
const problemsWith = (socket: string) =>
  problems({ sources: { a: { syslog: { socket } }, b: { http: { listen: socket } } } });

const patternsOf = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, 'x']));

describe('the events config', () => {
  test('has a default for everything', () => {
    expect(eventsConfig.parse({})).toEqual({
      logGroup: '/gatehouse/{name}',
      logStream: '{source}',
      createLogGroup: true,
      compression: 'none',
      spool: {
        bytesMax: 2 ** 30,
        mode: 'always',
        whenFull: 'pause',
        ageMaxDays: 14,
        allowClearSpool: false,
      },
      deadLetter: { bytesMax: 2 ** 24 },
      redaction: { secrets: true, patterns: {} },
      sources: {},
    });
  });

  test('takes no socket whose path nobody could connect to, or that could not be bound', () => {
    const problem =
      'is too long for a unix socket: 107 bytes at most, and fewer where its name is a short one';

    expect(problemsWith(pathOf(107, 'a-name-that-is-long.sock'))).toEqual([]);
    expect(problemsWith(pathOf(97, 'a.sock'))).toEqual([]);
    for (const tooLong of [pathOf(108, 'a-name-that-is-long.sock'), pathOf(98, 'a.sock')]) {
      expect(problemsWith(tooLong)).toEqual([
        `sources.a.syslog.socket: ${problem}`,
        `sources.b.http.listen: ${problem}`,
      ]);
    }
  });

  test('takes as many patterns of redaction as one automaton may have, and no more', () => {
    expect(problems({ redaction: { patterns: patternsOf(50) } })).toEqual([]);
    expect(problems({ redaction: { patterns: patternsOf(51) } })).toEqual([
      'redaction.patterns: must have at most 50 patterns',
    ]);
  });

  test('takes sources of both kinds with names of their own', () => {
    const sources = {
      app: { files: ['/var/log/app/*.log'], exclude: ['/var/log/app/*.gz'], logGroup: '/app/{name}' },
      agent: { audit: true, logStream: 'audit' },
    };

    expect(eventsConfig.parse({ sources }).sources).toEqual(sources);
  });

  test.each([
    [
      { spool: { mode: 'when-needed', whenFull: 'drop-oldest' } },
      'spool.mode: must be always where whenFull drops events: what can be read again waits where it is',
    ],
    [
      { sources: { a: {} } },
      'sources.a: must have exactly one of files, journald, syslog, stdin, http, exec, audit',
    ],
    [
      { sources: { a: { audit: true, files: ['/x'] } } },
      'sources.a: must have exactly one of files, journald, syslog, stdin, http, exec, audit',
    ],
    [{ sources: { a: { audit: true, exclude: ['/x'] } } }, 'sources.a.exclude: goes with files only'],
    [{ sources: { a: { files: ['x.log'] } } }, 'sources.a.files.0: must be an absolute path'],
    [
      { sources: { a: { http: { listen: '0.0.0.0:80' } } } },
      'sources.a.http.listen: must be a loopback address',
    ],
    [{ sources: { a: { http: { listen: 'localhost:80' } } } }, 'sources.a.http.listen: must be a loopback'],
    [{ sources: { a: { http: { listen: '/x', mode: '777' } } } }, 'sources.a.http.mode: must be four octal'],
    [
      { sources: { a: { syslog: {} } } },
      'sources.a.syslog: must have at least one of udp, tcp, tls and socket',
    ],
    [{ sources: { a: { syslog: { udp: '/x' } } } }, 'sources.a.syslog.udp: must be an address of this host'],
    [
      { sources: { a: { journald: { units: ['a b'] } } } },
      'sources.a.journald.units.0: must be the name of a unit',
    ],
    [
      { sources: { a: { journald: { fields: ['message'] } } } },
      'sources.a.journald.fields.0: must be the name',
    ],
    [{ sources: { a: { files: ['/x/../y'] } } }, 'sources.a.files.0: must not contain ..'],
    [{ logGroup: '/a/{nmae}' }, 'logGroup: {nmae} is not known'],
    [{ retentionDays: 31 }, 'retentionDays: '],
    [{ spool: { whenFull: 'drop' } }, 'spool.whenFull: '],
    [{ logGroupClass: 'DELIVERY' }, 'logGroupClass: '],
    [{ logGroupKey: 'alias/x' }, 'logGroupKey: must be the ARN of a KMS key'],
    [{ spool: { bytesMax: 1 } }, 'spool.bytesMax: '],
    [{ sources: { '.retention': { audit: true } } }, 'sources..retention: '],
    [{ redaction: { patterns: { a: '(?<=x)y' } } }, 'redaction.patterns.a: must have no look-around'],
    [{ redaction: { patterns: { a: 'x*' } } }, 'redaction.patterns.a: must not match where there is nothing'],
    [{ redaction: { patterns: { 'a b': 'x' } } }, 'redaction.patterns.a b: '],
    [{ deadLetter: { bytesMax: 1 } }, 'deadLetter.bytesMax: '],
    [{ spool: { ageMaxDays: 15 } }, 'spool.ageMaxDays: '],
    [{ logGroup: '/a/{field.x}' }, 'logGroup: {field.x} goes with logStream only'],
    [{ logStream: '{field.}' }, 'logStream: {field.} is not known'],
    [
      { logStream: '{field.x}', sources: { a: { audit: true } } },
      'sources.a.logStream: must have no {field.…}: the chain',
    ],
    [
      {
        spool: { whenFull: 'drop-oldest' },
        sources: { a: { http: { listen: '/x' }, logStream: '{field.x}' } },
      },
      'sources.a.logStream: must have no {field.…} with http and drop-oldest',
    ],
    [{ sources: { a: { files: ['/x'], streamsMax: 3 } } }, 'sources.a.logStream: must have a {field.…}'],
    [{ sources: { a: { stdin: true, coordinates: true } } }, 'sources.a.coordinates: goes with files only'],
    [{ nonsense: 1 }, 'Unrecognized key'],
  ])('refuses %j', (config, problem) => {
    expect(problems(config).join('\n')).toContain(problem);
  });
});
