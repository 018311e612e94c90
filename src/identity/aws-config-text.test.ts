import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sectionIn, withSettings } from './aws-config-text.ts';

const config = `# mine
[default]
region = eu-west-1

[profile web]
Region=eu-central-1
s3 =
  max_concurrent_requests = 20
output = json

# about build
[profile build]
region = us-east-1
`;

describe('the text of an AWS config', () => {
  test('has sections with settings', () => {
    expect(sectionIn(config, 'profile web')?.settings.get('region')).toBe('eu-central-1');
    expect(sectionIn(config, 'profile web')?.settings.has('max_concurrent_requests')).toBe(false);
    expect(sectionIn('[ profile  "web" ]\na = b', 'profile web')?.settings.get('a')).toBe('b');
    expect(sectionIn(config, 'web')).toBeUndefined();
  });

  test('gets a setting at the end of its section, before what belongs to the next', () => {
    const changed = withSettings(config, 'profile web', { credential_process: 'x' });

    expect(changed).toBe(config.replace('output = json\n', 'output = json\ncredential_process = x\n'));
  });

  test('gets a setting replaced where it stands, whatever its case', () => {
    const changed = withSettings(config, 'profile web', { region: 'x' });

    expect(changed).toBe(config.replace('Region=eu-central-1', 'region = x'));
  });

  test('has settings with a colon too, and none of them twice', () => {
    const text = '[profile web]\nregion: x\nsso_start_url = https://example.com\n';

    expect(sectionIn(text, 'profile web')?.settings).toEqual(
      new Map([
        ['region', 'x'],
        ['sso_start_url', 'https://example.com'],
      ]),
    );
    expect(withSettings(text, 'profile web', { region: 'y' })).toBe(text.replace('region: x', 'region = y'));
  });

  test('gets a section at its end', () => {
    const settings = { credential_process: 'x', region: 'y' };

    const changed = withSettings(config, 'profile new', settings);

    expect(changed).toBe(`${config}\n[profile new]\ncredential_process = x\nregion = y\n`);
    expect(withSettings('', 'default', { region: 'y' })).toBe('[default]\nregion = y\n');
  });

  test('keeps white space at the end of the last line', () => {
    expect(withSettings('! \n\n', 'default', { a: 'b' })).toBe('! \n\n[default]\na = b\n');
  });

  test('keeps the line ends of Windows', () => {
    const changed = withSettings('[default]\r\na = b\r\n', 'default', { c: 'd' });

    expect(changed).toBe('[default]\r\na = b\r\nc = d\r\n');
  });

  test('keeps everything else, and says afterwards what was set', () => {
    const line = fc.oneof(
      fc.constantFrom('[default]', '[profile a]', '', '# note', 'region = x', ' nested = y', 's3 ='),
      fc.string({ maxLength: 10 }).filter((text) => !/[\r\n[\]]/u.test(text)),
    );
    const text = fc.array(line, { maxLength: 15 }).map((lines) => lines.join('\n'));

    fc.assert(
      fc.property(text, fc.constantFrom('default', 'profile a', 'profile b'), (before, section) => {
        const after = withSettings(before, section, { credential_process: 'x' });
        expect(sectionIn(after, section)?.settings.get('credential_process')).toBe('x');
        const added = sectionIn(before, section) === undefined ? [`[${section}]`] : [];
        expect(rest(after)).toEqual([...rest(before), ...added]);
      }),
    );
  });
});

/** The lines that say something, but for what was set. */
function rest(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim() !== '' && !/^credential_process/iu.test(line));
}
