import type { Endpoint } from './endpoint.ts';
import { jsonRefusals } from './json-protocol.ts';
import { AwsError } from './service.ts';

/** Answers what belongs to no service here, in the shape of rest-json: the error's name is in a header. */
export const unknownService: Endpoint = {
  service: 'unknown',
  operationOf: () => 'unknown',
  throttled: new AwsError('TooManyRequestsException', 'Rate exceeded', 429),
  refusal: (reason, message) => new AwsError(jsonRefusals[reason], message, 403),

  answer() {
    throw new AwsError('UnknownOperationException', 'No service here answers this request.', 404);
  },

  failure: (error, { requestId }) => ({
    status: error.status,
    headers: {
      'content-type': 'application/json',
      'x-amzn-requestid': requestId,
      'x-amzn-errortype': error.name,
    },
    body: Buffer.from(JSON.stringify({ message: error.message, ...error.extra })),
  }),
};
