import { createHash } from 'node:crypto';
import { configError } from './errors.ts';
import { parseJson } from './json.ts';
import { isObject } from './object.ts';

/** The question that a gateway config answers: a copy stands in for no other. */
export interface Question {
  /** As the bootstrap config names it. */
  readonly secretName: string;
  readonly versionStage: string;
  readonly region: string;
  readonly hostId: string;
  /** The host's `name`, where it has one of its own. */
  readonly agentName: string | undefined;
}

/** Which answer a copy holds. */
export interface Answer {
  /** Version id of the secret. */
  readonly versionId: string;
  /** When it was sealed, which is when this host first had that version, or a new key. */
  readonly sealedAt: Date;
}

const pair = { versionId: 'gatehouse:version-id', sealedAt: 'gatehouse:sealed-at' } as const;

/** What a copy is bound to, authenticated and in clear: which host's it is, of which secret, and which version. */
export function copyContext(question: Question, { versionId, sealedAt }: Answer): Record<string, string> {
  return {
    ...contextOf(question),
    [pair.versionId]: versionId,
    [pair.sealedAt]: sealedAt.toISOString(),
  };
}

/**
 * Which answer a copy claims to hold; it is a claim until the copy was opened under the same context.
 * @throws GATEWAY_CONFIG_COPY_FOREIGN of another host, secret, stage or region
 * @throws GATEWAY_CONFIG_COPY_DAMAGED
 */
export function answerIn(claimed: Readonly<Record<string, string>>, question: Question): Answer {
  const { [pair.versionId]: versionId = '', [pair.sealedAt]: sealedAt = '', ...rest } = claimed;
  const expected = contextOf(question);
  const keys = new Set([...Object.keys(rest), ...Object.keys(expected)]);
  const differing = [...keys].filter((key) => rest[key] !== expected[key]);
  if (differing.length > 0) throw configError('GATEWAY_CONFIG_COPY_FOREIGN', { differing });
  const date = new Date(sealedAt);
  if (versionId === '' || Number.isNaN(date.getTime()) || date.toISOString() !== sealedAt) {
    throw configError('GATEWAY_CONFIG_COPY_DAMAGED', { what: 'context' });
  }
  return { versionId, sealedAt: date };
}

function contextOf({
  secretName,
  versionStage,
  region,
  hostId,
  agentName,
}: Question): Record<string, string> {
  return {
    'gatehouse:purpose': 'last-known-good',
    'gatehouse:secret': secretName,
    'gatehouse:stage': versionStage,
    'gatehouse:region': region,
    'gatehouse:host': hostId,
    ...(agentName === undefined ? {} : { 'gatehouse:agent': agentName }),
  };
}

const format = 'gatehouse last known good';
const formatVersion = 1;
/** Of the first line. */
const lineBytesMax = 256;

/**
 * A copy as it lies on the disk: a line that says what it is, with the SHA-256 of the rest, and the sealed message. The
 * digest protects against nobody: by it a disk that rots is found out, without any key, before the copy is needed.
 */
export function copyFile(message: Uint8Array): Buffer {
  const line = JSON.stringify({ format, version: formatVersion, sha256: sha256(message) });
  return Buffer.concat([Buffer.from(`${line}\n`), message]);
}

/** The sealed message in a copy. @throws GATEWAY_CONFIG_COPY_DAMAGED */
export function messageIn(file: Buffer): Buffer {
  const end = file.subarray(0, lineBytesMax).indexOf('\n');
  const parsed = parseJson(file.subarray(0, Math.max(0, end)).toString('latin1'));
  const line = 'value' in parsed && isObject(parsed.value) ? parsed.value : {};
  if (line['format'] !== format) throw configError('GATEWAY_CONFIG_COPY_DAMAGED', { what: 'first line' });
  if (line['version'] !== formatVersion)
    throw configError('GATEWAY_CONFIG_COPY_DAMAGED', { what: 'version' });
  const message = file.subarray(end + 1);
  if (line['sha256'] !== sha256(message))
    throw configError('GATEWAY_CONFIG_COPY_DAMAGED', { what: 'digest' });
  return message;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
