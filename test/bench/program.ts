import { execFile } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from '../../scripts/build.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** A build of Gatehouse that is measured. */
export interface Program {
  /** `here`, or the name of the commit as it was asked for. */
  readonly name: string;
  readonly isHere: boolean;
  readonly commit: string;
  /** The folder of the built program. */
  readonly dist: string;
  /** What Node is started with: the flags of the unit. */
  readonly nodeFlags: readonly string[];
  /** What the unit puts into its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** This work tree, built; `isBuilt` where dist/ is to be taken as it is. */
export async function programHere({ isBuilt }: { readonly isBuilt: boolean }): Promise<Program> {
  if (!isBuilt) await build();
  const [commit, changes] = await Promise.all([
    git('rev-parse', '--short', 'HEAD'),
    git('status', '--short'),
  ]);
  const isChanged = changes.split('\n').some((line) => /\.(?:ts|mjs|json)$/u.test(line));
  return {
    name: 'here',
    isHere: true,
    commit: isChanged ? `${commit} with changes` : commit,
    dist: join(root, 'dist'),
    nodeFlags: nodeFlagsOf(root),
    env: environmentOf(root),
  };
}

/** Another commit, built in a worktree of its own that goes with `opened`. It gets this tree's node_modules. */
export async function programOf(reference: string, opened: AsyncDisposableStack): Promise<Program> {
  const commit = await git('rev-parse', '--short', '--verify', `${reference}^{commit}`);
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const tree = join(folder, 'tree');
  await git('worktree', 'add', '--detach', '--quiet', tree, commit);
  opened.defer(async () => {
    await git('worktree', 'remove', '--force', tree);
  });
  for (const linked of ['node_modules', '.peers']) {
    if (existsSync(join(root, linked))) symlinkSync(join(root, linked), join(tree, linked));
  }
  if (lockOf(tree) !== lockOf(root)) {
    process.stderr.write(`${reference} has other dependencies: it is built with those of this tree\n`);
  }
  await run(process.execPath, ['scripts/build.ts'], { cwd: tree });
  return {
    name: reference,
    isHere: false,
    commit,
    dist: join(tree, 'dist'),
    nodeFlags: nodeFlagsOf(tree),
    env: environmentOf(tree),
  };
}

/** Flags between `node` and the program in ExecStart=. */
function nodeFlagsOf(tree: string): string[] {
  const unit = readFileSync(join(tree, 'systemd/gatehouse.service'), 'utf8');
  const [, flags] = /^ExecStart=\S*\/node((?: --\S+)*) \S+gatehouse\.mjs/mu.exec(unit) ?? [];
  if (flags === undefined)
    throw new Error(`${tree}: ExecStart= of the unit starts no node with gatehouse.mjs`);
  return flags.split(' ').filter((flag) => flag !== '');
}

/** The variables of Environment=, one a line. */
function environmentOf(tree: string): Record<string, string> {
  const unit = readFileSync(join(tree, 'systemd/gatehouse.service'), 'utf8');
  return Object.fromEntries(
    [...unit.matchAll(/^Environment=(\w+)=(\S+)$/gmu)].map(([, name = '', value = '']) => [name, value]),
  );
}

function lockOf(tree: string): string {
  return readFileSync(join(tree, 'package-lock.json'), 'utf8');
}

async function git(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', args, { cwd: root });
  return stdout.trim();
}
