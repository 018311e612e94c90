import { agentError } from '../agent/errors.ts';

/** Hyphens, dashes and the minus sign, as web pages and word processors make them out of two hyphens. */
const typographicDash = /^[\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]+-*/u;

/** @throws USAGE when a flag begins with a dash that is none, which looks right and is taken for an operand */
export function refuseTypographicDashes(argv: readonly string[]): void {
  const wrong = argv.find((word) => typographicDash.test(word));
  if (wrong === undefined) return;
  const [given = ''] = wrong.split('=', 1);
  const meant = given.replace(typographicDash, '--');
  const problem = `${given} begins with a typographic dash, as pages and documents make of it: write ${meant}`;
  throw agentError('USAGE', { problem });
}
