/** The names that templates of log group and stream know. A value that is not known on this host is absent. */
export const templateNames = [
  'name',
  'hostId',
  'source',
  'instanceId',
  'accountId',
  'region',
  'hostname',
  'file',
] as const;

export type TemplateName = (typeof templateNames)[number];

export type TemplateValues = Readonly<Partial<Record<TemplateName | FieldPlaceholder, string>>>;

/** A field of an event, by its path: `field.service`. */
type FieldPlaceholder = `field.${string}`;

const fieldPath = /^field\.([A-Za-z0-9_@-][A-Za-z0-9_@.-]{0,63})$/u;

/** The paths of the fields of events in a template, none twice. */
export function fieldsOf(template: string): readonly string[] {
  const names = [...template.matchAll(placeholder)].map(([, name = '']) => fieldPath.exec(name)?.[1]);
  return [...new Set(names.filter((path) => path !== undefined))];
}

/** CloudWatch Logs: 512 characters for either name. */
export const nameLengthMax = 512;

const forbidden = {
  logGroup: /[^.\-_/#A-Za-z0-9]/gu,
  /** Half a character has no UTF-8. */
  logStream: /[:*\p{Cc}\p{Cs}]/gu,
} as const;

export type NameKind = keyof typeof forbidden;

const placeholder = /\{([^{}]*)\}/gu;

/** What is wrong with a template, or undefined. */
export function templateProblem(kind: NameKind, template: string): string | undefined {
  const known: readonly string[] = templateNames;
  for (const [, name = ''] of template.matchAll(placeholder)) {
    if (fieldPath.test(name)) {
      if (kind === 'logStream') continue;
      return `{${name}} goes with logStream only: whoever writes events must not name log groups`;
    }
    if (!known.includes(name)) {
      return `{${legible(name)}} is not known; use ${templateNames.map((each) => `{${each}}`).join(' ')}`;
    }
  }
  const fixed = template.replaceAll(placeholder, '');
  if (/[{}]/u.test(fixed)) return 'has a { or } that does not close';
  const [bad] = fixed.match(forbidden[kind]) ?? [];
  if (bad !== undefined) return `CloudWatch Logs allows no ${JSON.stringify(bad)} in a ${kind}`;
  if (template.length === 0) return 'must not be empty';
  if (kind === 'logGroup' && template.startsWith('aws/')) return 'must not start with aws/';
  return undefined;
}

const legibleLengthMax = 32;

/** Enough to find a slip, and no more: the value may be anything, a secret put in the wrong place among them. */
function legible(name: string): string {
  return name.slice(0, legibleLengthMax).replaceAll(/[^A-Za-z0-9_.-]/gu, '?');
}

export interface ExpandedName {
  readonly name: string;
  /** Whether characters were replaced, a value is not known, or the name was cut; to be said. */
  readonly isChanged: boolean;
}

/** Fills a template in and makes the result a name that CloudWatch Logs takes. An absent value becomes `-`. */
export function expandTemplate(kind: NameKind, template: string, values: TemplateValues): ExpandedName {
  const wished = template.replaceAll(
    placeholder,
    (whole, name: keyof TemplateValues) => values[name] ?? whole,
  );
  const known = template.replaceAll(placeholder, (_whole, name: keyof TemplateValues) => values[name] ?? '-');
  // Cut first: that may halve a character.
  const name = known.slice(0, nameLengthMax).replaceAll(forbidden[kind], '-') || '-';
  return { name, isChanged: name !== wished };
}
