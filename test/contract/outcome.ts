/** How a refused call looks to a caller. */
export interface Refusal {
  readonly refused: string;
  readonly status: number | undefined;
}

export const accepted = 'accepted';

/** The refusal of a call, or that it was accepted. What is no answer of the service is thrown on. */
export async function outcome(call: Promise<unknown>): Promise<Refusal | typeof accepted> {
  try {
    await call;
    return accepted;
  } catch (error) {
    const status = statusOf(error);
    if (!(error instanceof Error) || status === undefined) throw error;
    return { refused: error.name, status };
  }
}

export function refused(name: string, status = 400): Refusal {
  return { refused: name, status };
}

/** What a case came to with a peer, be it a refusal. */
export async function seen(run: Promise<unknown>): Promise<unknown> {
  const refusal = await outcome(run);
  return refusal === accepted ? run : refusal;
}

/** The message of a refused call. */
export async function message(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return accepted;
  } catch (error) {
    if (!(error instanceof Error) || statusOf(error) === undefined) throw error;
    return error.message;
  }
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
