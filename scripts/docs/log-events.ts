import type { LogEventTable } from '../../src/base/log-events.ts';
import { code, page, sentence, table } from './markdown.ts';

/** docs/reference/log-events.md: every named event with its level, its fields and whether an auditor sees it. */
export function logEventsPage(events: LogEventTable): string {
  const byName = Object.entries(events).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return page(
    'Log events',
    'What the agent logs, by the name in the field `event`. Each also moves the counter of its name. ' +
      'From the `log-events.ts` of each room. Those marked *audit* are audit records too.',
    [
      table(
        ['Event', 'Level', 'Audit', 'What happened'],
        byName.map(([name, row]) => [
          `[${name}](#${anchor(name)})`,
          row.level,
          row.audit ?? '',
          sentence(row.summary),
        ]),
      ),
      ...byName.map(([name, row]) => {
        const fields = Object.entries(row.fields).map(([field, meaning]) => [code(field), meaning]);
        const facts = [row.level, ...(row.audit === undefined ? [] : [`audit: ${row.audit}`])].join(' · ');
        return [
          `## ${name}`,
          '',
          `${sentence(row.summary)} (${facts})`,
          ...(fields.length === 0 ? [] : ['', table(['Field', 'Meaning'], fields)]),
        ].join('\n');
      }),
    ],
  );
}

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^a-z\d _-]/gu, '')
    .replaceAll(' ', '-');
}
