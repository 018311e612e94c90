import type { ErrorTable } from '../../src/base/errors.ts';
import { exitCode } from '../../src/base/exit-code.ts';
import { code, page, sentence, table } from './markdown.ts';

const exitCodeMeaning: Readonly<Record<keyof typeof exitCode, string>> = {
  done: 'done',
  failed: 'anything without a better one',
  usage: 'the command line is wrong',
  damagedInput: 'an input is damaged or forged',
  missingInput: 'an input is not there',
  unavailable: 'AWS or another service is out of reach',
  defect: 'our own defect',
  cannotCreate: 'an output cannot be written',
  tryAgain: 'try again later',
  refused: 'refused: credentials or permissions',
  configuration: 'the configuration is wrong',
  commandNotStarted: 'the command of `exec` cannot be executed',
  commandNotFound: 'the command of `exec` is not found',
};

/** docs/reference/errors.md: every code with what it means, what to do, how the process exits and whether to retry. */
export function errorsPage(errors: ErrorTable): string {
  const byCode = Object.entries(errors).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return page(
    'Errors',
    'What is printed as `error: … (CODE)`, and in JSON as `code`. From the `errors.ts` of each room. ' +
      '*Retry* says whether the same operation may succeed later without anybody changing anything.',
    [
      '## Exit codes',
      table(
        ['Exit code', 'Meaning'],
        Object.entries(exitCode).map(([name, number]) => [String(number), meaningOf(name)]),
      ),
      '`exec` exits as its child does once that runs: 126 and 127 as a shell, 128 + n for a signal.',
      '## Codes',
      ...byCode.map(([name, row]) =>
        [
          `### ${name}`,
          '',
          sentence(row.summary),
          '',
          `**Do:** ${row.remedy}`,
          '',
          [
            `Exit code ${row.exitCode}`,
            ...(row.httpStatus === undefined ? [] : [`HTTP status ${row.httpStatus}`]),
            `retry: ${row.retry ? 'yes' : 'no'}`,
          ].join(' · '),
        ].join('\n'),
      ),
      '## By exit code',
      table(
        ['Exit code', 'Errors'],
        Object.values(exitCode).flatMap((number) => {
          const names = byCode.filter(([, row]) => row.exitCode === number).map(([name]) => code(name));
          return names.length === 0 ? [] : [[String(number), names.join(', ')]];
        }),
      ),
    ],
  );
}

function meaningOf(name: string): string {
  return Object.entries(exitCodeMeaning).find(([key]) => key === name)?.[1] ?? name;
}
