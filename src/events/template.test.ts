import { describe, expect, test } from 'vitest';
import { expandTemplate, fieldsOf, templateProblem } from './template.ts';

describe('a template', () => {
  test.each([
    ['logGroup', '/gatehouse/{name}', 'nothing'],
    ['logStream', '{hostname}/{file} with spaces', 'nothing'],
    ['logGroup', '/gatehouse/{nmae}', '{nmae} is not known'],
    ['logGroup', '/gate house', 'allows no " "'],
    ['logGroup', 'aws/x', 'aws/'],
    ['logStream', 'aws/x', 'nothing'],
    ['logStream', '{name}/{field.a}', 'nothing'],
    ['logGroup', '{field.a}', '{field.a} goes with logStream only'],
    ['logStream', 'a:b', 'allows no ":"'],
    ['logStream', 'a{b', 'does not close'],
    ['logStream', '', 'empty'],
  ] as const)('as a %s %j is judged: %s', (kind, template, problem) => {
    expect(templateProblem(kind, template) ?? 'nothing').toContain(problem);
  });

  test('repeats no more of an unknown placeholder than a name can have', () => {
    const token = `${'x'.repeat(20)}\n\u{1b}[31m${'"'.repeat(20)}${'secret'.repeat(20)}`;

    expect(templateProblem('logGroup', `{${token}}`)).toMatch(/^\{[A-Za-z0-9_.?-]{1,32}\} is not known/u);
    expect(templateProblem('logGroup', '{nmae}')).toMatch(/^\{nmae\} is not known/u);
  });

  test('takes values as they are where they are allowed', () => {
    expect(expandTemplate('logGroup', '/gatehouse/{name}', { name: 'web-1' })).toEqual({
      name: '/gatehouse/web-1',
      isChanged: false,
    });
  });

  test('replaces what is forbidden or not known, and tells', () => {
    expect(expandTemplate('logGroup', '{name}/{accountId}', { name: 'my host' })).toEqual({
      name: 'my-host/-',
      isChanged: true,
    });
    expect(expandTemplate('logStream', '{file}', { file: '/a:b*' })).toEqual({
      name: '/a-b-',
      isChanged: true,
    });
  });

  test('gives no empty name', () => {
    expect(expandTemplate('logStream', '{file}', { file: '' })).toEqual({ name: '-', isChanged: true });
  });

  test('knows the fields of events that it has, each once', () => {
    expect(fieldsOf('{name}/{field.a}/{field.b.c}/{field.a}')).toEqual(['a', 'b.c']);
  });

  test('gives no name longer than CloudWatch Logs takes', () => {
    const { name, isChanged } = expandTemplate('logStream', '{file}', { file: 'x'.repeat(600) });

    expect([name.length, isChanged]).toEqual([512, true]);
  });

  test('gives no half of a character, which has no UTF-8 and is refused', () => {
    const cut = expandTemplate('logStream', '{file}', { file: `${'x'.repeat(511)}😀` });

    expect(expandTemplate('logStream', '{file}', { file: 'a\ud800b😀' }).name).toBe('a-b😀');
    expect(cut.name).toBe(`${'x'.repeat(511)}-`);
  });
});
