import { describe, expect, it } from 'vitest';
import { manPage } from './man.ts';

describe('the man page', () => {
  it('has every command, below others too, with its flags, and no hidden one', () => {
    const page = manPage({
      version: '1.2.3',
      date: '2026-11-22',
      commands: [
        {
          usage: 'config',
          summary: '.begins as a request would',
          options: {},
          subcommands: [
            {
              usage: 'show',
              summary: 'Show it',
              options: { all: { describe: 'All' }, secret: { describe: 'No', hidden: true } },
              subcommands: [{ usage: 'one <key>', summary: 'Show one', options: {} }],
            },
          ],
        },
      ],
      globalOptions: { 'log-level': { choices: ['debug', 'info'], describe: 'Least severe' } },
      files: { '/etc/gatehouse/config.json': 'bootstrap config' },
      exitCodes: [[78, 'wrong configuration']],
    });

    expect(page.split('\n')).toEqual(
      expect.arrayContaining([
        '.TH GATEHOUSE 8 "2026-11-22" "gatehouse 1.2.3" "System administration"',
        '.B gatehouse config',
        '\\&.begins as a request would.',
        '.B gatehouse config show',
        '.B gatehouse config show one <key>',
        '.B \\-\\-all',
        '.B \\-\\-log\\-level debug|info',
        '.I /etc/gatehouse/config.json',
        '.B 78',
      ]),
    );
    expect(page).not.toContain('.B \\-\\-secret');
  });
});
