import { array, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wordsOf } from './command-line.ts';

/** As a shell script would write it. */
const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

describe('the words of a command line', () => {
  test.each([
    ['/opt/tool --profile "my team" -x', ['/opt/tool', '--profile', 'my team', '-x']],
    [`'/opt/a b/tool' ''`, ['/opt/a b/tool', '']],
    [String.raw`/opt/a\ b/tool "say \"hi\" \\ \n"`, ['/opt/a b/tool', String.raw`say "hi" \ \n`]],
    [`one"two"'three'`, ['onetwothree']],
    ['  a\t b  ', ['a', 'b']],
    ['~/tool $HOME | tee', ['~/tool', '$HOME', '|', 'tee']],
    ['', []],
  ])('%j', (line, words) => {
    expect(wordsOf(line)).toEqual(words);
  });

  test.each([`/opt/tool "half`, `/opt/tool 'half`, '/opt/tool \\'])('do not end: %j', (line) => {
    expect(wordsOf(line)).toBeUndefined();
  });

  test('come back from any words, quoted as a shell would have them', () => {
    const unit = constantFrom(' ', '\t', '\n', "'", '"', '\\', '$', '~', 'a', 'é', '\0');

    assert(
      property(array(string({ unit }), { maxLength: 6 }), (words) => {
        expect(wordsOf(words.map(quoted).join(' '))).toEqual(words);
      }),
    );
  });
});
