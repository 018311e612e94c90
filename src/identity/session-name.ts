const prefix = 'gatehouse-';

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: 2 to 64 characters of `\w+=,.@-`. */
const charactersMax = 64;

/** The name of a session that this host opens: `gatehouse-` and the host's name, as CloudTrail will show it. */
export function sessionNameOf(hostName: string): string {
  return (prefix + hostName.replaceAll(/[^\w+=,.@-]/gu, '-')).slice(0, charactersMax);
}
