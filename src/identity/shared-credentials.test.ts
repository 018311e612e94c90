import { array, assert, constantFrom, oneof, property, string, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '../base/secret.ts';
import { profileNamePattern, withProfile } from './shared-credentials.ts';

const credentials = {
  accessKeyId: 'ASIANEW',
  secretAccessKey: Secret.ofText('new/secret+key='),
  sessionToken: Secret.ofText('new//token=='),
  source: 'fake',
};
const written =
  'aws_access_key_id = ASIANEW\naws_secret_access_key = new/secret+key=\naws_session_token = new//token==\n';

describe('a profile', () => {
  test('is the whole of a file that was empty', () => {
    expect(withProfile('', 'default', credentials)).toBe(`[default]\n${written}`);
  });

  test('is replaced where it is, and nothing else is touched', () => {
    const before = `# mine
[other]
aws_access_key_id = AKIAOTHER
aws_secret_access_key = other

[ default ] ; the one in use
aws_access_key_id=AKIAOLD
region = eu-west-1
AWS_Secret_Access_Key = old
  aws_session_token = of a nested key
aws_session_token=old
[third]
aws_session_token = third
`;

    expect(withProfile(before, 'default', credentials)).toBe(`# mine
[other]
aws_access_key_id = AKIAOTHER
aws_secret_access_key = other

[ default ] ; the one in use
${written}region = eu-west-1
  aws_session_token = of a nested key
[third]
aws_session_token = third
`);
  });

  test('that is not there yet comes last', () => {
    expect(withProfile('[other]\na = b', 'new one', credentials)).toBe(
      `[other]\na = b\n\n[new one]\n${written}`,
    );
  });

  test('that is there twice has the new credentials once, and the old ones nowhere', () => {
    const before = '[default]\naws_access_key_id = A\n[default]\naws_access_key_id = B\n';

    expect(withProfile(before, 'default', credentials)).toBe(`[default]\n${written}[default]\n`);
  });

  test('keeps the line ends of its file', () => {
    const text = withProfile('[other]\r\na = b\r\n', 'default', credentials);

    expect(text.replaceAll('\r\n', '')).not.toContain('\n');
  });
});

function isKey(line: string): boolean {
  return /^aws_(?:access_key_id|secret_access_key|session_token)\s*=/u.test(line);
}

test('whatever is in the file, writing again changes nothing, and other lines stay in their order', () => {
  const lines = oneof(
    string(),
    constantFrom('[default]', '[other]', 'aws_access_key_id = old', '[default', '# [default]', ''),
  );

  assert(
    property(array(lines), (all) => {
      const before = all.join('\n');
      const once = withProfile(before, 'default', credentials);

      expect(withProfile(once, 'default', credentials)).toBe(once);
      const others = once.split(/\r?\n/u).filter((line) => !isKey(line));
      const wanted = before.split(/\r?\n/u).filter((line) => !isKey(line));
      expect(others.join('\n').trimEnd()).toContain(wanted.join('\n').trimEnd());
    }),
  );
});

test('the name of a profile cannot end its header, or its line', () => {
  assert(
    property(stringMatching(/^.{0,10}[\]\n\r[#;]/u), (name) => {
      expect(profileNamePattern.test(name)).toBe(false);
    }),
  );
  expect(['default', 'with space', 'a/b@c'].every((name) => profileNamePattern.test(name))).toBe(true);
});
