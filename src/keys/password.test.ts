import { describe, expect, it } from 'vitest';
import { Secret } from '../base/secret.ts';
import { isPassword, newVerifier, requireStrong } from './password.ts';

const secret = (text: string) => Secret.ofText(text);

describe('a password', () => {
  it('is told from every other by its verifier, which is another one each time', async () => {
    const [one, other] = [
      await newVerifier(secret('correct horse')),
      await newVerifier(secret('correct horse')),
    ];

    expect(await isPassword(secret('correct horse'), one)).toBe(true);
    expect(await isPassword(secret('correct horsf'), one)).toBe(false);
    expect(one.hash.equals(other.hash)).toBe(false);
    expect(one).toMatchObject({ memoryKib: 65_536, passes: 3, lanes: 1 });
  });

  it.each([
    ['short', 'it has not'],
    ['x'.repeat(1025), 'it has not'],
    ['abababababababab', 'it has fewer'],
    ['Password123456', 'it is made of'],
    ['gatehouse-web-1', 'it is made of'],
  ])('is refused when it is soon guessed: %s', (text, problem) => {
    expect(() => requireStrong(secret(text), ['web-1'])).toThrow(
      expect.objectContaining({
        code: 'PASSWORD_WEAK',
        details: { problem: expect.stringContaining(problem) },
      }),
    );
  });

  it.each(['correct horse battery', 'żółta łódź podwodna', 'Xk7#pQ2!vL9z'])('is good enough: %s', (text) => {
    expect(() => requireStrong(secret(text), ['web-1'])).not.toThrow();
  });
});
