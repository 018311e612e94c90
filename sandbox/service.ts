/** The shapes that every service of the sandbox is made of. */

/** A request as it came: nothing decoded, names as sent, repeated headers repeated. */
export interface RawRequest {
  readonly method: string;
  /** The request target exactly as on the request line: raw path and raw query. */
  readonly target: string;
  /** Name and value pairs in the order they were sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** Who called, once the signature was found right. */
export interface Caller {
  readonly accountId: string;
  /** The caller's ARN as GetCallerIdentity says it. */
  readonly arn: string;
  /** The unique id: `AIDA…` of a user, `AROA…:session` of an assumed role. */
  readonly userId: string;
  readonly accessKeyId: string;
  /** The role of a session; undefined for a user. */
  readonly roleArn?: string | undefined;
  /** The policies attached to the user or role; absent for one who may do anything. */
  readonly policies?: readonly string[] | undefined;
  /** What a session may do at most; absent where nothing narrows it. */
  readonly sessionPolicy?: string | undefined;
  /** Tags of the user or role. */
  readonly tags?: ReadonlyMap<string, string> | undefined;
  /** When its temporary credentials were issued; absent for a long-term key. */
  readonly issuedAt?: Date | undefined;
}

/** What an operation knows beside its input and its state. */
export interface CallContext {
  readonly caller: Caller;
  readonly region: string;
  /** Whether a policy may name this principal: AWS refuses users and roles that are not there. Absent: any. */
  readonly isPrincipal?: (arn: string) => boolean;
  /** The service's own clock. */
  readonly now: Date;
  readonly requestId: string;
}

/** An error that AWS documents, with its name as AWS spells it. */
export class AwsError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** Further members of the error's body. */
  readonly extra: JsonObject;

  constructor(name: string, message: string, status = 400, extra: JsonObject = {}) {
    super(message);
    this.name = name;
    this.status = status;
    this.extra = extra;
  }
}

/** One operation: pure but for the state it is given. Throws AwsError for what AWS refuses. */
export type Operation<State> = (
  input: JsonObject,
  state: State,
  context: CallContext,
) => JsonObject | undefined;

/** A service that speaks AWS JSON: `X-Amz-Target: PREFIX.Operation`. */
export interface JsonService<State> {
  /** The service's name in a credential scope: `kms`, `secretsmanager`, `logs`. */
  readonly signingName: string;
  /** The version of the protocol; 1.1 where absent. */
  readonly jsonVersion?: '1.0';
  /** `TrentService`, `secretsmanager`, `Logs_20140328`. */
  readonly targetPrefix: string;
  readonly operations: Readonly<Record<string, Operation<State>>>;
  /**
   * ARN of what an operation is on; undefined where it is on nothing, or cannot be told. By it, policies are asked before
   * the operation. Absent from a service whose operations ask for themselves.
   */
  resourceOf?(operation: string, input: JsonObject, state: State, context: CallContext): string | undefined;
  newState(): State;
}
