import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** Texts for people, by their path. */
function documents(): string[] {
  const below = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  const pages = below.filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
  return ['README.md', 'CHANGELOG.md', ...pages];
}

function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** As GitHub names a heading. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/gu, '-');
}

function anchorsOf(path: string): string[] {
  return [...textOf(path).matchAll(/^#{1,6} (.*)$/gmu)].map(([, heading = '']) => anchorOf(heading));
}

/** Links of a document to files here, with what is wrong with each that leads nowhere. */
function linksOf(path: string): { path: string; link: string; problem?: string }[] {
  const prose = textOf(path).replaceAll(/```.*?```/gsu, '');
  return [...prose.matchAll(/\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)/gu)].map(
    ([link, file = '', anchor]) => {
      const target = file === '' ? path : relative(root, join(root, dirname(path), file));
      if (!existsSync(join(root, target))) return { path, link, problem: `no ${target}` };
      const isThere = anchor === undefined || anchorsOf(target).includes(anchor);
      return isThere ? { path, link } : { path, link, problem: `no heading #${anchor} in ${target}` };
    },
  );
}

test('every link of the documentation leads to a file and a heading that are there', () => {
  const links = documents().flatMap(linksOf);

  expect(links.filter(({ problem }) => problem !== undefined)).toEqual([]);
  expect(links.length).toBeGreaterThan(100);
});
