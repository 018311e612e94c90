import { Readable } from 'node:stream';

/** One answer of a scripted service: a body to serialize, an AWS error by name, or no answer at all. */
export type ScriptedAnswer =
  | { readonly body: Readonly<Record<string, unknown>> }
  | { readonly error: string; readonly message?: string; readonly status?: number }
  | { readonly cut: string };

interface ScriptedRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface ScriptedCall {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/**
 * Options for a real AWS SDK client of a JSON 1.1 service whose answers come from a script: what the SDK makes of
 * them, its errors included, is the real thing, and no server is needed. `calls` records what was asked.
 */
export function scriptedAws(answer: (call: ScriptedCall) => ScriptedAnswer) {
  const calls: ScriptedCall[] = [];
  const options = {
    region: 'eu-west-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' },
    maxAttempts: 1,
    requestHandler: {
      async handle(request: ScriptedRequest, { abortSignal }: { abortSignal?: { aborted: boolean } } = {}) {
        if (abortSignal?.aborted === true) throw named('AbortError');
        const operation = request.headers['x-amz-target']?.split('.')[1] ?? '';
        const call = { operation, input: JSON.parse(new TextDecoder().decode(request.body)) };
        calls.push(call);
        return { response: responseOf(answer(call)) };
      },
    },
  };
  return { options, calls };
}

function responseOf(answer: ScriptedAnswer) {
  if ('cut' in answer) throw named(answer.cut);
  const { statusCode, body } =
    'body' in answer
      ? { statusCode: 200, body: answer.body }
      : {
          statusCode: answer.status ?? 400,
          body: {
            __type: answer.error,
            message: answer.message ?? 'upstream text that must not be repeated',
          },
        };
  const bytes = Buffer.from(JSON.stringify(body));
  return {
    statusCode,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: Readable.from([bytes]),
  };
}

function named(code: string): Error {
  return Object.assign(new Error('no answer'), { name: code, code });
}
