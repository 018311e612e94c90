/**
 * Whether all that a glob can match lies below a folder, links aside. Its part before the first wildcard must, and
 * nothing after it may lead up again: braces and brackets can spell `..` without writing it (`.{.,}` and `[.][.]` do,
 * as node:fs expands them).
 */
export function isGlobBelow(glob: string, folder: string): boolean {
  const fixed = glob.slice(0, glob.search(/[*?[\]{}()!+@|\\]|$/u));
  return fixed.startsWith(`${folder}/`) && !fixed.includes('//') && glob.split('/').every(isHarmless);
}

function isHarmless(part: string): boolean {
  if (part === '.' || part.includes('..') || part.includes('\\')) return false;
  if (/\[[^\]]*\./u.test(part)) return false;
  return !part.includes('{') ? !part.includes('}') : isHarmlessBraces(part);
}

/** Braces that stay within one part of the path, in which no choice of alternatives leaves only dots. */
function isHarmlessBraces(part: string): boolean {
  const first = part.indexOf('{');
  const last = part.lastIndexOf('}');
  const isBalanced = part.split('{').length === part.split('}').length && first < last;
  if (!isBalanced) return false;
  const outside = part.slice(0, first) + part.slice(last + 1);
  return /[^.]/u.test(outside) || !/[{,}][.[\]]*[{,}]/u.test(part.slice(first, last + 1));
}
