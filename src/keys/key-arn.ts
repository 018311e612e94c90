/** The parts of a KMS key's ARN that decide whom to ask and whom to trust. */
export interface KeyArn {
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
}

const pattern =
  /^arn:(?<partition>[a-z-]+):kms:(?<region>[a-z0-9-]+):(?<accountId>\d{12}):key\/[A-Za-z0-9-]+$/u;

/** The parts of a key's ARN; undefined for an alias, a bare id or anything else. */
export function parseKeyArn(text: string): KeyArn | undefined {
  const groups = pattern.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const { partition = '', region = '', accountId = '' } = groups;
  return { partition, region, accountId };
}

/** The region in a key or alias ARN; undefined where the identifier names none. */
export function regionOfKeyId(keyId: string): string | undefined {
  return /^arn:[a-z-]+:kms:(?<region>[a-z0-9-]+):/u.exec(keyId)?.groups?.region;
}
