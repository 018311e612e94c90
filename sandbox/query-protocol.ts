import type { Cloud, Endpoint, Visit } from './endpoint.ts';
import { AwsError, type CallContext, type RawRequest, type RawResponse } from './service.ts';
import { type RefusalReason, splitTarget, verifySignature } from './signature.ts';

/** One operation of a query service: parameters in, the members of its result out. */
export type QueryOperation = (parameters: URLSearchParams, context: CallContext, cloud: Cloud) => QueryResult;

/** An operation that nobody signs: something in its parameters is the proof. */
export type UnsignedOperation = (
  parameters: URLSearchParams,
  visit: Pick<Visit, 'now'>,
  cloud: Cloud,
) => QueryResult;

/** Text by element name, nested; of a list each in a `member`. */
export interface QueryResult {
  readonly [element: string]: string | readonly string[] | QueryResult;
}

/** A service that speaks AWS Query: form parameters in, XML out. */
export interface QueryService {
  readonly signingName: string;
  readonly version: string;
  readonly xmlNamespace: string;
  readonly operations: Readonly<Record<string, QueryOperation>>;
  readonly unsigned: Readonly<Record<string, UnsignedOperation>>;
}

export const queryRefusals: Readonly<Record<RefusalReason, readonly [name: string, status: number]>> = {
  'missing-authentication': ['MissingAuthenticationToken', 403],
  'incomplete-signature': ['IncompleteSignature', 400],
  'unknown-access-key': ['InvalidClientTokenId', 403],
  'expired-token': ['ExpiredToken', 403],
  'signature-mismatch': ['SignatureDoesNotMatch', 403],
};

/** Source: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html */
export function queryEndpoint(service: QueryService, cloud: Cloud): Endpoint {
  const operationOf = (request: RawRequest): string => {
    const action = parametersOf(request).get('Action') ?? '';
    const isKnown = Object.hasOwn(service.operations, action) || Object.hasOwn(service.unsigned, action);
    return isKnown ? action : 'unknown';
  };

  const signed = (request: RawRequest, parameters: URLSearchParams, action: string, visit: Visit) => {
    const key = verifySignature(request, {
      service: service.signingName,
      region: cloud.region,
      now: visit.now,
      findKey: cloud.identities.find,
    });
    if (action === '') throw new AwsError('MissingAction', 'The request is missing an action.');
    const operation = service.operations[operationOf(request)];
    if (operation === undefined || parameters.get('Version') !== service.version) {
      throw unknownAction(action, parameters);
    }
    const context = { caller: cloud.identities.caller(key), region: cloud.region, ...visit };
    return operation(parameters, context, cloud);
  };

  return {
    service: service.signingName,
    operationOf,
    throttled: new AwsError('Throttling', 'Rate exceeded'),

    refusal(reason, message) {
      const [name, status] = queryRefusals[reason];
      const said = reason === 'missing-authentication' ? 'Request is missing Authentication Token' : message;
      return new AwsError(name, said, status);
    },

    answer(request, visit) {
      const parameters = parametersOf(request);
      const action = parameters.get('Action') ?? '';
      const unsigned = Object.hasOwn(service.unsigned, action) ? service.unsigned[action] : undefined;
      if (unsigned !== undefined && parameters.get('Version') !== service.version) {
        throw unknownAction(action, parameters);
      }
      const result =
        unsigned === undefined
          ? signed(request, parameters, action, visit)
          : unsigned(parameters, visit, cloud);
      const metadata = element('ResponseMetadata', element('RequestId', escaped(visit.requestId)));
      const content = element(`${action}Result`, members(result)) + metadata;
      return xml(
        200,
        `<${action}Response xmlns="${service.xmlNamespace}">${content}</${action}Response>`,
        visit,
      );
    },

    failure(error, visit) {
      const type = error.status >= 500 ? 'Receiver' : 'Sender';
      const told = members({ Type: type, Code: error.name, Message: error.message });
      const content = element('Error', told) + element('RequestId', escaped(visit.requestId));
      return xml(
        error.status,
        `<ErrorResponse xmlns="${service.xmlNamespace}">${content}</ErrorResponse>`,
        visit,
      );
    },
  };
}

function unknownAction(action: string, parameters: URLSearchParams): AwsError {
  const version = parameters.get('Version') ?? '';
  return new AwsError('InvalidAction', `Could not find operation ${action} for version ${version}`);
}

/** The form body's parameters, or the query's where there is no body. */
function parametersOf(request: RawRequest): URLSearchParams {
  if (request.method === 'POST') return new URLSearchParams(request.body.toString('utf8'));
  return new URLSearchParams(splitTarget(request.target).query);
}

function xml(status: number, body: string, visit: Visit): RawResponse {
  return {
    status,
    headers: { 'content-type': 'text/xml', 'x-amzn-requestid': visit.requestId },
    body: Buffer.from(`${body}\n`),
  };
}

function members(result: QueryResult): string {
  return Object.entries(result)
    .map(([name, value]) => element(name, contentOf(value)))
    .join('');
}

function contentOf(value: QueryResult[string]): string {
  if (typeof value === 'string') return escaped(value);
  return isList(value) ? value.map((each) => element('member', escaped(each))).join('') : members(value);
}

function isList(value: QueryResult | readonly string[]): value is readonly string[] {
  return Array.isArray(value);
}

function element(name: string, content: string): string {
  return `<${name}>${content}</${name}>`;
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/gu, (character) => entities[character] ?? character);
}
