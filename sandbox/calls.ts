export interface Call {
  readonly time: Date;
  /** The endpoint: `kms`, `secretsmanager`, `logs`, `sts`, `ec2-metadata`, `container-credentials`, `unknown`. */
  readonly service: string;
  readonly operation: string;
  /** The access key id that the request claims, verified or not. */
  readonly accessKeyId: string | undefined;
  /** HTTP status of the answer, also of one that was lost; undefined where nothing was done. */
  readonly status: number | undefined;
  readonly outcome: 'answered' | 'lost' | 'half' | 'cut';
}

export type CallFilter = Partial<Omit<Call, 'time'>>;

/** Every call, AWS's and the credential endpoints', in the order they were answered. */
export interface Calls {
  /** The last `callsMax` calls. */
  list(filter?: CallFilter): readonly Call[];
  count(filter?: CallFilter): number;
  clear(): void;
}

/** How many calls are remembered; beyond it the oldest are forgotten. */
export const callsMax = 10_000;

export function createCalls(): Calls & { record(call: Call): void } {
  let calls: Call[] = [];

  const list = (filter: CallFilter = {}): readonly Call[] =>
    calls.slice(-callsMax).filter((call) => matches(call, filter));

  return {
    list,
    count: (filter) => list(filter).length,
    clear: () => {
      calls = [];
    },
    record(call) {
      calls.push(call);
      // Dropping one at a time would move the whole array at each call.
      if (calls.length >= callsMax * 2) calls = calls.slice(-callsMax);
    },
  };
}

function matches(call: Call, filter: CallFilter): boolean {
  const wanted = { ...call, ...filter };
  return (
    call.service === wanted.service &&
    call.operation === wanted.operation &&
    call.accessKeyId === wanted.accessKeyId &&
    call.status === wanted.status &&
    call.outcome === wanted.outcome
  );
}
