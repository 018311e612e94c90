import { type ErrorDetails, type ErrorReport, isProblems, reportOf } from '../base/errors.ts';

/** The last words of a command that failed: `error:` and `hint:` lines, or one JSON object. */
export function failureText(error: unknown, json: boolean): string {
  const report = reportOf(error);
  if (json) return `${JSON.stringify({ error: report })}\n`;
  const below = [...problemLines(report.details), ...(report.frames ?? [])].map((line) => `  ${line}\n`);
  return `error: ${factOf(report)} (${report.code})\n${below.join('')}hint: ${report.remedy}\n`;
}

/** What went wrong, with its places and causes, on one line. */
export function factOf(report: ErrorReport): string {
  const places = Object.entries(report.details).flatMap(([name, value]) => placeText(name, value));
  const causes = report.causes.length === 0 ? [] : [`cause ${report.causes.join(' < ')}`];
  const facts = [...places, ...causes].join('; ');
  return facts === '' ? report.summary : `${report.summary}: ${facts}`;
}

function placeText(name: string, value: ErrorDetails[string]): string[] {
  if (value === undefined || isProblems(value)) return [];
  const text = typeof value === 'object' ? value.join(', ') : String(value);
  // A problem speaks for itself; anything else needs its name.
  return [name === 'problem' ? text : `${name} ${text}`];
}

function problemLines(details: ErrorDetails): string[] {
  return Object.values(details)
    .filter(isProblems)
    .flat()
    .map(({ path, message, source }) => {
      const place = path === '' ? message : `${path}: ${message}`;
      return source === undefined ? place : `${place} (${source})`;
    });
}
