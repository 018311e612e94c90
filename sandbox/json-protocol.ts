import { gunzipSync } from 'node:zlib';
import { type Cloud, type Endpoint, header, type Visit } from './endpoint.ts';
import { authorize } from './iam/authorize.ts';
import { AwsError, type JsonObject, type JsonService, type RawRequest, type RawResponse } from './service.ts';
import { type RefusalReason, verifySignature } from './signature.ts';

/** Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
const contentType = (version: string): string => `application/x-amz-json-${version}`;
const unknownOperation = 'UnknownOperationException';

/** What a compressed body may become, in bytes. */
export const unpackedBytesMax = 16 * 1024 * 1024;

export const jsonRefusals: Readonly<Record<RefusalReason, string>> = {
  'missing-authentication': 'MissingAuthenticationTokenException',
  'incomplete-signature': 'IncompleteSignatureException',
  'unknown-access-key': 'UnrecognizedClientException',
  'expired-token': 'ExpiredTokenException',
  'signature-mismatch': 'InvalidSignatureException',
};

/** A service behind `POST /` with `X-Amz-Target`, verified and with its errors shaped. */
export function jsonEndpoint<State>(service: JsonService<State>, state: () => State, cloud: Cloud): Endpoint {
  const operationOf = (request: RawRequest): string => {
    const [prefix, name, ...more] = (header(request, 'x-amz-target') ?? '').split('.');
    const known = prefix === service.targetPrefix && name !== undefined && more.length === 0;
    return known && Object.hasOwn(service.operations, name) ? name : 'unknown';
  };

  const version = service.jsonVersion ?? '1.1';

  return {
    service: service.signingName,
    operationOf,
    throttled: new AwsError('ThrottlingException', 'Rate exceeded'),
    refusal: (reason, message) => new AwsError(jsonRefusals[reason], message),

    answer(request, visit) {
      const operation = service.operations[operationOf(request)];
      if (operation === undefined || request.method !== 'POST') throw new AwsError(unknownOperation, '');
      const key = verifySignature(request, {
        service: service.signingName,
        region: cloud.region,
        now: visit.now,
        findKey: cloud.identities.find,
      });
      const { isPrincipal } = cloud.identities;
      const context = { caller: cloud.identities.caller(key), region: cloud.region, isPrincipal, ...visit };
      const input = inputOf(request);
      if (service.resourceOf !== undefined) {
        const name = operationOf(request);
        const resource = service.resourceOf(name, input, state(), context) ?? '*';
        authorize(context, { action: `${service.signingName}:${name}`, resource });
      }
      const output = operation(input, state(), context);
      return {
        status: 200,
        headers: { 'content-type': contentType(version), 'x-amzn-requestid': visit.requestId },
        body: output === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(output)),
      };
    },

    failure: (error, visit) => jsonFailure(error, visit, version),
  };
}

/** `{"__type":…,"message":…}` with the error's name also in a header. */
export function jsonFailure(error: AwsError, visit: Visit, version = '1.1'): RawResponse {
  const message = error.message === '' ? {} : { message: error.message };
  return {
    status: error.status,
    headers: {
      'content-type': contentType(version),
      'x-amzn-requestid': visit.requestId,
      'x-amzn-errortype': error.name,
    },
    body: Buffer.from(JSON.stringify({ __type: error.name, ...message, ...error.extra })),
  };
}

function inputOf(request: RawRequest): JsonObject {
  const input: unknown = parse(unpacked(request));
  if (!isStructure(input)) {
    throw new AwsError('SerializationException', 'Start of structure or map found where not expected.');
  }
  return input;
}

/** JSON's own parser made it, so its members are JSON. */
function isStructure(input: unknown): input is JsonObject {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new AwsError('SerializationException', 'The request body is not valid JSON in UTF-8.');
  }
}

function unpacked(request: RawRequest): Buffer {
  const encoding = header(request, 'content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding === 'identity') return request.body;
  if (encoding !== 'gzip') {
    throw new AwsError('SerializationException', `The content encoding '${encoding}' is not supported.`);
  }
  try {
    return gunzipSync(request.body, { maxOutputLength: unpackedBytesMax });
  } catch {
    throw new AwsError('SerializationException', 'The request body is not valid gzip.');
  }
}
