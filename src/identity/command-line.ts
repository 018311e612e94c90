/**
 * The words of a `credential_process` line, as a POSIX shell would take it apart: white space separates, single quotes
 * keep everything, double quotes all but `\"` and `\\`, a backslash keeps the next character. Nothing is expanded, for
 * no shell runs it: `~`, `$HOME` and `|` are text. `undefined` when a quote does not end.
 */
export function wordsOf(line: string): readonly string[] | undefined {
  const words: string[] = [];
  // Undefined between words; empty quotes are a word too.
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    const next = line.charAt(index + 1);
    if (character === '\\' && quote !== "'" && (quote === '' || next === '"' || next === '\\')) {
      if (next === '') return undefined;
      word = (word ?? '') + next;
      index += 1;
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/u.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== '') return undefined;
  if (word !== undefined) words.push(word);
  return words;
}
