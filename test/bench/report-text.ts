import type { Beside, Figure, Result } from './measure.ts';

/** The figures of one bench as a table for people. */
export function reportText({ bench, summary, rounds, isQuick, notes, figures }: Result): string {
  const rows = figures.map((figure) => [
    nameOf(figure),
    figure.quantity,
    `${short(figure.median)} ${figure.unit}`,
    `${short(figure.low)} … ${short(figure.high)}`,
    [...figure.beside.map((beside) => besideText(beside, figure)), ...aimText(figure)].join(', '),
  ]);
  const head = ['subject', 'quantity', 'median', 'range', 'beside'];
  const widths = head.map((_title, column) =>
    Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd();
  const title = `${bench}: ${summary} (${rounds} rounds${isQuick ? ', quick: not to be quoted' : ''})`;
  return [title, ...[head, ...rows].map(line), ...notes.map((note) => `  ${note}`), ''].join('\n');
}

function nameOf({ subject, program }: { readonly subject: string; readonly program?: string }): string {
  return program === undefined ? subject : `${subject} [${program}]`;
}

function besideText(beside: Beside, { program, unit }: Figure): string {
  const isOtherProgram = beside.program !== undefined && beside.program !== program;
  const name = isOtherProgram ? `[${beside.program}]` : beside.subject;
  const sign = beside.difference < 0 ? '−' : '+';
  return `${beside.ratio.toFixed(2)} × ${name} (${sign}${short(Math.abs(beside.difference))} ${unit})`;
}

function aimText({ aim, unit }: Figure): string[] {
  if (aim === undefined) return [];
  const from = aim.above === undefined ? '' : ` above ${aim.above}`;
  const most = aim.times === undefined ? `${aim.most} ${unit}${from}` : `${aim.most} × ${aim.times}`;
  return [`aim ${most}: ${aim.isMet ? 'met' : 'MISSED'}`];
}

/** Three digits that matter. */
function short(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
