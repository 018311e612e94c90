import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { type BuildOptions, build as bundle, type OutputFile, type Plugin } from 'esbuild';

const root = dirname(import.meta.dirname);
const outdir = join(root, 'dist');

/**
 * What is built: name in dist → source, each by itself. What it imports where it is needed, and what two such parts share,
 * become chunks beside it. The fewer start points one build has, the fewer chunks: `agent` and its worker load 47 and 24
 * where they shared a build with all commands and with each other 93 and 54, and start with a seventh less CPU time.
 */
export const programs: Readonly<Record<string, string>> = {
  agent: 'src/cli/agent.ts',
  'events-worker': 'src/agent/events-worker.ts',
  cli: 'src/cli/cli.ts',
};

/**
 * What is built into one file each, with nothing beside it: name in dist → source. Every chunk costs a cold start a
 * millisecond or two, and SDKs wait for credential-process.
 */
const alone: Readonly<Record<string, string>> = {
  gatehouse: 'src/main.ts',
  'code-cache': 'src/system/code-cache.ts',
  'signing-helper': 'src/cli/signing-helper.ts',
  pkcs12: 'src/identity/roles-anywhere/pkcs12.ts',
  pkcs11: 'src/identity/roles-anywhere/pkcs11.ts',
};

/** yargs and the AWS SDK hold CommonJS that calls `require`, which a module does not have. */
const requireBanner = [
  "import { createRequire as gatehouseCreateRequire } from 'node:module';",
  'const require = gatehouseCreateRequire(import.meta.url);',
].join('\n');

/** The sandbox is no part of the program: in a checkout it is reached where it lies, in a package it is absent. */
const sandboxOutside: Plugin = {
  name: 'sandbox-outside',
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const target = relative(root, resolve(resolveDir, path));
      if (!target.startsWith(`sandbox${sep}`)) return undefined;
      return { path: `../${target.replaceAll(sep, '/')}`, external: true };
    });
  },
};

/** What is built alone is no part of what imports it, where it is needed, nor takes an entry in: they lie beside. */
const aloneOutside: Plugin = {
  name: 'alone-outside',
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.?\// }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined;
      const target = relative(root, resolve(resolveDir, path)).replaceAll(sep, '/');
      const files = { ...programs, ...alone };
      const name = Object.keys(files).find((key) => files[key] === target);
      return name === undefined ? undefined : { path: `./${name}.mjs`, external: true };
    });
  },
};

/** Only these leave package.json for the bundle. */
const smallPackageJson: Plugin = {
  name: 'small-package-json',
  setup(bundler) {
    bundler.onLoad({ filter: /\/package\.json$/ }, async ({ path }) => {
      if (dirname(path) !== root) return undefined;
      const whole: Record<string, unknown> = JSON.parse(await readFile(path, 'utf8'));
      return { contents: JSON.stringify({ name: whole['name'], version: whole['version'] }), loader: 'json' };
    });
  },
};

/** `new URL('./X.ts', import.meta.url)` means a worker's entry, which in dist lies beside whoever starts it. */
const workerEntries: Plugin = {
  name: 'worker-entries',
  setup(bundler) {
    bundler.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return { contents: withBuiltWorkers(source, relative(root, path)), loader: 'ts' };
    });
  },
};

/**
 * A package that is imported where it is needed becomes a chunk, and of CommonJS a chunk of esbuild exports `default`
 * alone. So each is given the names that Node finds in it.
 */
const namedExports: Plugin = {
  name: 'named-exports',
  setup(bundler) {
    bundler.onResolve({ filter: /^[@a-z]/ }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import' || isBuiltin(path)) return undefined;
      return { path, namespace: 'named-exports', pluginData: resolveDir };
    });
    bundler.onLoad({ filter: /^/, namespace: 'named-exports' }, async ({ path, pluginData: resolveDir }) => {
      const names = Object.keys(await import(path)).filter((name) => /^\w+$/u.test(name));
      // Beside names, the default of CommonJS is only the module once more, which the bundled form of it may not have.
      const named = names.filter((name) => name !== 'default');
      const exported = named.length > 0 ? named : names;
      return { contents: `export { ${exported.join(', ')} } from ${JSON.stringify(path)};`, resolveDir };
    });
  },
};

/** Of zod's error messages in fifty languages, the one that we speak; they would be more than all of our own source. */
const zodInEnglish: Plugin = {
  name: 'zod-in-english',
  setup(bundler) {
    bundler.onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      resolveDir: join(root, 'node_modules/zod/v4/locales'),
    }));
  },
};

/**
 * Node's own module for `import … from 'node:http'` reads every property, getters too, and behind one of them is all of
 * undici: 30 ms in each thread. Behind others are Web Crypto, promises of fs, BlockList of net and more, 2 to 5 ms each.
 * Here only what is imported by name is read. Other people's code may want whole modules, of all but http and process.
 */
const builtinsWithoutGetters: Plugin = {
  name: 'builtins-without-getters',
  setup(bundler) {
    const own = join(root, 'src') + sep;
    bundler.onResolve(
      { filter: /^(?:node:)?(?:http|process|fs|crypto|util|net)$/ },
      ({ path, kind, importer }) => {
        if (kind === 'require-call') return undefined;
        const name = path.replace(/^(?:node:)?/u, 'node:');
        const isEverybodys = name === 'node:http' || name === 'node:process';
        if (!isEverybodys && !importer.startsWith(own)) return undefined;
        return { path: name, namespace: 'builtins-without-getters' };
      },
    );
    bundler.onLoad({ filter: /^/, namespace: 'builtins-without-getters' }, ({ path }) => {
      const properties = Object.getOwnPropertyDescriptors(process.getBuiltinModule(path) ?? {});
      const isEverybodys = path === 'node:http' || path === 'node:process';
      const names = Object.entries(properties)
        .filter(([, property]) => !isEverybodys || 'value' in property)
        .map(([name]) => name)
        .filter((name) => /^(?!default$)[A-Za-z]\w*$/u.test(name));
      const contents = [
        `const builtin = process.getBuiltinModule('${path}');`,
        'const readProperty = (name) => builtin[name];',
        'export default builtin;',
        ...names.map((name) => `export const ${name} = /* @__PURE__ */ readProperty('${name}');`),
      ].join('\n');
      return { contents };
    });
  },
};

/**
 * The source with worker entries named as they are in dist. `file` is relative to the repository.
 * @throws when a worker is no program of the build: it would be missing from dist.
 */
export function withBuiltWorkers(source: string, file: string): string {
  return source.replaceAll(
    /new URL\(\s*(['"])(\.{1,2}\/[^'"]+\.ts)\1,\s*import\.meta\.url,?\s*\)/gu,
    (_whole, _quote, target: string) => {
      const wanted = join(dirname(file), target);
      const name = Object.keys(programs).find((key) => programs[key] === wanted);
      if (name === undefined)
        throw new Error(`${file} starts ${wanted}, which is no program of scripts/build.ts`);
      return `new URL('./${name}.mjs', import.meta.url)`;
    },
  );
}

/** Bundles into memory. Source maps are for our own use: package.json leaves them out of the package. */
async function bundled(): Promise<OutputFile[]> {
  const common = {
    absWorkingDir: root,
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    // The AWS SDK's modules rather than its CommonJS: only of modules is what nobody uses left out.
    mainFields: ['module', 'main'],
    // Names stay: people read the stack frames of a defect report.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'external',
    legalComments: 'none',
    plugins: [
      sandboxOutside,
      aloneOutside,
      smallPackageJson,
      workerEntries,
      namedExports,
      zodInEnglish,
      builtinsWithoutGetters,
    ],
    write: false,
    logLevel: 'warning',
  } as const satisfies BuildOptions;
  const parts = await Promise.all([
    ...Object.entries(programs).map(([name, source]) =>
      bundle({
        ...common,
        plugins: [...common.plugins],
        entryPoints: { [name]: source },
        chunkNames: `${name}-[name]-[hash]`,
        splitting: true,
        banner: { js: requireBanner },
      }),
    ),
    bundle({ ...common, plugins: [...common.plugins], entryPoints: { ...alone } }),
  ]);
  return parts.flatMap(({ outputFiles }) => outputFiles);
}

/**
 * Makes dist/ what the source is; answers with its size.
 * A program that runs from dist/ meanwhile keeps what it needs: chunks carry their hash in their name, entries are
 * replaced whole, and what is no longer part of the build goes last.
 */
export async function build(): Promise<{ files: number; bytes: number }> {
  const outputs = await bundled();
  mkdirSync(outdir, { recursive: true });
  for (const { path, contents } of outputs.toSorted((a, b) => Number(isEntry(a)) - Number(isEntry(b)))) {
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, contents);
    renameSync(draft, path);
  }
  const current = new Set(outputs.map(({ path }) => basename(path)));
  for (const name of readdirSync(outdir)) {
    if (!current.has(name)) rmSync(join(outdir, name), { recursive: true });
  }
  const code = outputs.filter(({ path }) => path.endsWith('.mjs'));
  return { files: code.length, bytes: code.reduce((sum, { contents }) => sum + contents.length, 0) };
}

function isEntry({ path }: OutputFile): boolean {
  return Object.hasOwn({ ...programs, ...alone }, basename(path, '.mjs'));
}

if (import.meta.main) {
  const started = performance.now();
  try {
    const { files, bytes } = await build();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`dist/: ${files} files, ${(bytes / 1e6).toFixed(2)} MB, ${seconds} s\n`);
  } catch (error) {
    // What esbuild found is on stderr already, with the place in the source.
    if (!(error instanceof Error && 'errors' in error)) throw error;
    process.exitCode = 1;
  }
}
