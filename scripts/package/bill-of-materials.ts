import { type ExecFileSyncOptions, execFileSync } from 'node:child_process';
import type { BundledPackage } from './bundled.ts';
import { root } from './lock.ts';

interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly [key: string]: unknown;
}

interface Bill {
  serialNumber?: string;
  metadata: { timestamp: string; component: Component; [key: string]: unknown };
  components: readonly Component[];
  dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
  [key: string]: unknown;
}

export interface BillParts {
  readonly bundled: readonly BundledPackage[];
  /** `process.versions` of the Node that is shipped. */
  readonly nodeVersions: Readonly<Record<string, string>>;
  /** Of the release; ISO 8601. */
  readonly timestamp: string;
}

/**
 * CycloneDX JSON of what the package ships: npm's own, from package-lock.json, without what the bundle left out and
 * with Node and the libraries inside it. The same for the same source: no serial number, the time of the release.
 */
export function billOfMaterials(parts: BillParts): string {
  const bill = npmBill();
  const { bundled, nodeVersions, timestamp } = parts;
  const shipped = new Set(bundled.map(({ name, version }) => `${name}@${version}`));
  const components = bill.components.filter(({ name, version }) => shipped.has(`${name}@${version}`));
  const found = new Set(components.map(({ name, version }) => `${name}@${version}`));
  const missing = [...shipped].filter((each) => !found.has(each));
  if (missing.length > 0) throw new Error(`npm sbom does not know ${missing.join(', ')}, which dist/ holds`);

  const node = nodeComponent(nodeVersions);
  const own = bill.metadata.component;
  const refs = new Set([own, node, ...components].map((each) => each['bom-ref']));
  delete bill.serialNumber;
  bill.metadata = {
    ...bill.metadata,
    timestamp,
    lifecycles: [{ phase: 'build' }],
    component: { ...own, name: 'gatehouse', type: 'application' },
  };
  bill.components = [node, ...components];
  bill.dependencies = bill.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn = [] }) => {
      const above = ref === own['bom-ref'] ? [node['bom-ref']] : [];
      return { ref, dependsOn: [...dependsOn.filter((each) => refs.has(each)), ...above] };
    });
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function npmBill(): Bill {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--offline'];
  const options: ExecFileSyncOptions = {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'ignore'],
  };
  const bill: Bill = JSON.parse(execFileSync('npm', args, options).toString('utf8'));
  return bill;
}

/** Node, and in it what it is made of (OpenSSL, V8, …), so that a scanner finds their advisories. */
function nodeComponent({ node = '', ...inside }: BillParts['nodeVersions']): Component {
  const own = component('node', node);
  const libraries = Object.entries(inside)
    .filter(([, version]) => /\d\.\d/u.test(version))
    .map(([name, version]) => component(name, version));
  return {
    ...own,
    type: 'platform',
    cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`,
    components: libraries,
  };
}

function component(name: string, version: string): Component {
  const ref = `pkg:generic/${encodeURIComponent(name)}@${encodeURIComponent(version)}`;
  return { 'bom-ref': ref, type: 'library', name, version, purl: ref };
}
