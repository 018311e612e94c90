import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileRecordText } from '../../test/support/file-records.ts';
import { characterEnd, markOf, partBytesMax, partLength } from './long-line.ts';
import { parseAddress } from './source/address.ts';
import { filePosition, parseFileRecord } from './source/file-record.ts';
import { holeStart } from './source/hole.ts';
import { isGenerationOf, isNamedLikeCopy } from './source/rotated-name.ts';
import { dropsIn } from './source/udp-drops.ts';
import { expandTemplate, fieldsOf, templateNames, templateProblem } from './template.ts';
import { fieldOf, parseObject, selected } from './transform/json-fields.ts';
import { joiningOf, presets } from './transform/multiline.ts';
import { patternProblem, redactionPatternProblem } from './transform/pattern.ts';

/** Whatever reads what others write, and where it is given anything at all; the rest of this file has what is missing there. */
const fuzzed: Readonly<Record<string, string>> = {
  'the bytes of a file as text, in each encoding': 'source/text-format.test.ts',
  'lines cut out of a stream': 'source/line-cutter.test.ts',
  'the output of a command': 'source/output.test.ts',
  'frames of syslog': 'source/syslog-frames.test.ts',
  'messages of syslog': 'source/syslog-message.test.ts',
  'the export format of the journal': 'source/journal-export.test.ts',
  'bodies of HTTP': 'source/http.test.ts',
  'lines of a container runtime': 'transform/container.test.ts',
  'timestamps and their formats': 'transform/timestamp.test.ts',
  'patterns, and lines that they are looked for in': 'transform/pattern.test.ts',
  'lines through a whole transform, coordinates too': 'transform/transform.test.ts',
  'bytes that are not UTF-8': 'foreign-bytes.test.ts',
  'chunks as events, and batches of them': 'batch.test.ts',
  'names of streams': 'stream-names.test.ts',
  'secrets in text, however it is cut': 'redaction/redactor.test.ts',
  'patterns in bytes': 'redaction/pattern-search.test.ts',
  'records of the spool': 'spool/record.test.ts',
  'records of the audit': 'audit/verify.test.ts',
};

test.each(Object.entries(fuzzed))('%s: by properties', (_what, file) => {
  expect(readFileSync(new URL(file, import.meta.url), 'utf8')).toContain("from 'fast-check'");
});

const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.json());

describe('whatever it is given', () => {
  test('a position of a file is a record, or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(anything, fileRecordText()), (value) => {
        const record = parseFileRecord(value);
        const kept = record === undefined ? undefined : filePosition('1:2', record).value;
        expect(record).toEqual(kept === undefined ? undefined : parseFileRecord(kept));
      }),
    );
  });

  test('an address is one that can be listened at, or nothing', () => {
    const pieces = fc.constantFrom(
      '127.0.0.1',
      '[::1]',
      ':',
      '/',
      'a',
      '65535',
      '65536',
      '0',
      '\0',
      ' ',
      '..',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          fc.array(pieces).map((texts) => texts.join('')),
        ),
        (text) => {
          const address = parseAddress(text);
          expect(address?.kind === 'port' ? address.port : 0).toBeLessThanOrEqual(65_535);
          expect(address?.kind === 'unix' ? address.path : '/').toMatch(/^\//u);
        },
      ),
    );
  });

  test('a table of the kernel gives a number', () => {
    const row = fc.constantFrom(
      ' 1: 0100007F:0202 0 0 7',
      ' 2: X:0202 nonsense',
      '',
      ':0202',
      'sl local',
      ' x :0202 5',
    );
    fc.assert(
      fc.property(
        fc.array(row).map((rows) => rows.join('\n')),
        (table) => {
          expect(dropsIn(table, 0x202)).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });

  test('a template that nothing is wrong with makes a name that CloudWatch Logs takes, and is the same when it is made again', () => {
    const piece = fc.constantFrom(
      ...templateNames.map((name) => `{${name}}`),
      '{field.a.b}',
      '{',
      '}',
      'x',
      '/',
      ':',
      'aws/',
      'ü',
      '*',
    );
    const kinds = fc.constantFrom('logGroup', 'logStream');
    fc.assert(
      fc.property(kinds, fc.array(piece, { maxLength: 8 }), anything, (kind, pieces, value) => {
        const template = pieces.join('');
        fc.pre(templateProblem(kind, template) === undefined);
        const values = Object.fromEntries(
          [...templateNames, ...fieldsOf(template).map((path) => `field.${path}`)].map((name) => [
            name,
            value,
          ]),
        );
        const { name } = expandTemplate(kind, template, values);

        const allowed = kind === 'logGroup' ? /^[.\-_/#A-Za-z0-9]{1,512}$/u : /^[^:*\p{Cc}]{1,512}$/su;
        expect(name).toMatch(allowed);
        expect(expandTemplate(kind, template, values).name).toBe(name);
      }),
      { numRuns: 500 },
    );
  });

  test('a template that is refused is said to be in one line', () => {
    fc.assert(
      fc.property(anything, (template) => {
        expect(templateProblem('logGroup', template) ?? '').not.toMatch(/[\p{Cc}]/u);
      }),
    );
  });

  test('a name is that of a rotation of one file at most: never of itself', () => {
    const part = fc.constantFrom('app', '.log', '.1', '-20261126', '.gz', '.old', '/var/', '.', '-');
    const name = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(name, name, (path, original) => {
        expect(isGenerationOf(original, original)).toBe(false);
        expect(typeof isGenerationOf(path, original)).toBe('boolean');
        expect(typeof isNamedLikeCopy(path, original)).toBe('boolean');
      }),
    );
  });

  test('a part of a long line ends at a character, and there is always one', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
        fc.integer({ min: 4, max: 100 }),
        (text, end) => {
          const bytes = Buffer.from(text);
          const cut = characterEnd(Math.min(end, bytes.length), (at) => bytes[at]);
          expect(bytes.subarray(0, cut).toString('utf8') + bytes.subarray(cut).toString('utf8')).toBe(
            bytes.toString('utf8'),
          );
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.boolean(),
        (bytes, number, isLast) => {
          const long = Buffer.alloc(partBytesMax + 100, Buffer.from(bytes));
          const length = partLength(long);
          expect(length).toBeGreaterThan(0);
          expect(length).toBeLessThanOrEqual(partBytesMax);
          expect(markOf({ line: 'abcdef01', number, isLast })).toMatch(/^\[gatehouse .*\] $/u);
        },
      ),
      { numRuns: 20 },
    );
  });

  test('a hole is a stretch of NUL bytes and nothing else', () => {
    const stretch = fc.oneof(
      fc.constantFrom(511, 512, 600, 1).map((length) => Buffer.alloc(length)),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(
        fc.array(stretch, { maxLength: 6 }),
        fc.boolean(),
        fc.nat(3),
        (stretches, isLineStart, offset) => {
          const bytes = Buffer.concat(stretches);
          const at = holeStart(bytes, isLineStart, offset);
          expect(at).toBeLessThan(Math.max(1, bytes.length));
          expect(at < 0 ? 0 : bytes[at]).toBe(0);
          // The first byte of a run, so that no text is passed over with it.
          expect(at <= 0 ? 1 : bytes[at - 1]).not.toBe(0);
        },
      ),
    );
  });

  test('a line of JSON is an object, or none; what is selected of it is JSON or text', () => {
    fc.assert(
      fc.property(anything, fc.array(fc.string(), { minLength: 1 }), (line, fields) => {
        const object = parseObject(line);
        const [field = ''] = fields;
        expect(typeof fieldOf(object, field)).toBe('string');
        const kept = object === undefined ? '{}' : (selected(object, { fields }) ?? '');
        expect(Object.keys(JSON.parse(kept)).every((key) => fields.includes(key))).toBe(true);
        expect(object === undefined ? '' : (selected(object, { message: field }) ?? '')).toBeTypeOf('string');
      }),
    );
  });

  test('each preset says yes or no to any line', () => {
    const line = fc.oneof(
      anything,
      fc.constantFrom('Traceback (most recent call last):', 'panic: x', '\tat a', '', 'Caused by: x'),
    );
    fc.assert(
      fc.property(fc.constantFrom(...presets), fc.array(line), (preset, lines) => {
        const joins = joiningOf({ preset })();
        expect(lines.every((each) => typeof joins(each) === 'boolean')).toBe(true);
      }),
    );
  });

  test('a pattern has a problem, or none', () => {
    fc.assert(
      fc.property(anything, (pattern) => {
        expect(['string', 'undefined']).toContain(typeof patternProblem(pattern));
        expect(['string', 'undefined']).toContain(typeof redactionPatternProblem(pattern));
      }),
    );
  });
});
