import { posix } from 'node:path';
import { type Node, parseSync, Visitor } from 'oxc-parser';

/** How one file names another: `env` is not an import but the reading of `process.env`. */
export type ReferenceKind = 'static' | 'type' | 'dynamic' | 'worker' | 'computed' | 'env';

/** One file of the repository that reaches for something outside itself. */
export interface Reference {
  /** Relative to the repository, with slashes. */
  readonly file: string;
  readonly line: number;
  readonly kind: ReferenceKind;
  /** Relative imports: the path from the repository's root. Others: as written (`node:fs`, `@aws-sdk/client-kms`). */
  readonly target: string;
}

/** Calls whose first argument names a module. */
const resolvers = new Set(['require', 'getBuiltinModule', 'resolve']);

/**
 * Everything that `source` reaches for: imports and re-exports, static, dynamic and of types, worker entries
 * (`new URL('./x.ts', import.meta.url)`), `require`, `getBuiltinModule`, `import.meta.resolve`, `process.env`.
 * @throws when the file does not parse: what cannot be read cannot be said to be clean
 */
export function referencesOf(file: string, source: string): Reference[] {
  const { program, module, errors } = parseSync(file, source);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${file}: ${error.message}`);

  const references: Reference[] = [];
  const add = (kind: ReferenceKind, start: number, specifier: string): void => {
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier;
    references.push({ file, line: source.slice(0, start).split('\n').length, kind, target });
  };

  for (const { start, moduleRequest, entries } of module.staticImports) {
    const typesOnly =
      entries.length > 0
        ? entries.every((entry) => entry.isType)
        : /^import\s+type\b/u.test(source.slice(start));
    add(typesOnly ? 'type' : 'static', start, moduleRequest.value);
    const isProcess = moduleRequest.value === 'node:process' || moduleRequest.value === 'process';
    if (isProcess && entries.some((entry) => entry.importName.name === 'env'))
      add('env', start, 'process.env');
  }
  for (const { start, entries } of module.staticExports) {
    const requests = new Map<string, boolean>();
    for (const { moduleRequest, isType } of entries) {
      if (moduleRequest === null) continue;
      requests.set(moduleRequest.value, (requests.get(moduleRequest.value) ?? true) && isType);
    }
    for (const [specifier, typesOnly] of requests) add(typesOnly ? 'type' : 'static', start, specifier);
  }

  new Visitor({
    ImportExpression(node) {
      const specifier = textOf(node.source);
      if (specifier === undefined)
        add('computed', node.start, source.slice(node.source.start, node.source.end));
      else add('dynamic', node.start, specifier);
    },
    TSImportType(node) {
      add('type', node.start, textOf(node.source) ?? source.slice(node.start, node.end));
    },
    NewExpression(node) {
      const [first, second] = node.arguments;
      if (nameOf(node.callee) !== 'URL' || second === undefined) return;
      if (source.slice(second.start, second.end) !== 'import.meta.url') return;
      const specifier = textOf(first);
      // A folder or a document beside the code is no import.
      if (specifier === undefined || /\.[cm]?[jt]s$/u.test(specifier)) {
        add(
          specifier === undefined ? 'computed' : 'worker',
          node.start,
          specifier ?? source.slice(node.start, node.end),
        );
      }
    },
    CallExpression(node) {
      const name = nameOf(node.callee);
      const specifier = textOf(node.arguments[0]);
      if (name === undefined || !resolvers.has(name) || specifier === undefined) return;
      const owner = ownerOf(node.callee);
      if (name === 'resolve' && owner !== 'meta') return;
      add('dynamic', node.start, specifier);
    },
    MemberExpression(node) {
      if (nameOf(node) === 'env' && ownerOf(node) === 'process') add('env', node.start, 'process.env');
    },
    VariableDeclarator(node) {
      if (node.id.type !== 'ObjectPattern' || node.init === null || nameOf(node.init) !== 'process') return;
      const takesEnv = node.id.properties.some(
        (part) => part.type === 'Property' && nameOf(part.key) === 'env',
      );
      if (takesEnv) add('env', node.start, 'process.env');
    },
  }).visit(program);
  return references;
}

/** A string literal's text. */
function textOf(node: Node | undefined): string | undefined {
  if (node?.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined;
  if (node?.type !== 'TemplateLiteral' || node.expressions.length > 0) return undefined;
  return node.quasis[0]?.value.cooked ?? undefined;
}

/** `x` and `….x`, also as `…['x']`. */
function nameOf(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name;
  if (node.type !== 'MemberExpression') return undefined;
  return node.computed ? textOf(node.property) : nameOf(node.property);
}

/** `x` of `x.y` and of `….x.y`. */
function ownerOf(node: Node): string | undefined {
  if (node.type !== 'MemberExpression') return undefined;
  return node.object.type === 'MetaProperty' ? 'meta' : nameOf(node.object);
}
