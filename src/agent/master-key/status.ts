import { asGatehouseError, type ErrorReport, reportOf } from '../../base/errors.ts';
import { type ExitCode, exitCode } from '../../base/exit-code.ts';
import { regionOfKeyId } from '../../keys/key-arn.ts';
import { rsaAlgorithm } from '../../keys/kms.ts';
import { type Change, type Generation, targetOf } from '../../keys/ledger.ts';
import { wrappingOf } from '../../keys/master-key.ts';
import type { Launch } from '../launch.ts';
import { asOperator, type Operator, openProven } from './operator.ts';
import { boundRegistry } from './publication.ts';
import { sealingGeneration } from './state.ts';

export interface MasterKeyStatus {
  /** Whether the master key was opened just now; `failing` says why not. */
  readonly isReachable: boolean;
  readonly failing?: ErrorReport;
  readonly name: string;
  readonly bindingKey: {
    readonly arn: string;
    readonly kind: 'symmetric' | 'rsa';
    /** As KMS spells it; absent where it could not be asked, for what `stateFailing` says. */
    readonly state?: string;
    readonly stateFailing?: ErrorReport;
  };
  readonly generation: number;
  readonly createdAt: string;
  readonly fingerprint?: string;
  readonly hasPassword?: boolean;
  /** When the wrapped key was last opened on this host. */
  readonly openedAt?: string;
  /** What the registry has of this generation; absent where this host is bound to none. */
  readonly registry?: {
    readonly table: string;
    readonly state: 'agrees' | 'disagrees' | 'lacks it' | 'unreachable';
    readonly failing?: ErrorReport;
    /** Secrets whose highest version it knows; absent where it does not answer. */
    readonly secretsSeen?: number;
  };
  readonly sealedFiles: { readonly current: number; readonly all: number };
  readonly generations: readonly { readonly number: number; readonly state: Generation['state'] }[];
  /** A change that is under way or was interrupted. */
  readonly change?: {
    readonly from: number;
    readonly to: number;
    readonly isBack: boolean;
    readonly since: string;
  };
}

/** Who wants to know does not wait for the repetitions of three calls that nobody answers. */
const answerMsMax = 20_000;

/**
 * What is to be known of this host's master key. It is opened once to see whether that works.
 * @throws MASTER_KEY_ABSENT, MASTER_KEY_HOST_UNNAMED, CONFIG_…, STATE_DIRECTORY_…, LEDGER_…
 */
export function masterKeyStatus(
  launch: Launch,
  signal: AbortSignal,
): Promise<{ status: MasterKeyStatus; code: ExitCode }> {
  return asOperator(launch, { isMade: false }, async (operator) => {
    const { state, agentName } = operator;
    const number = sealingGeneration(state);
    const inTime = <T>(what: string, ask: (within: AbortSignal) => Promise<T>): Promise<T> =>
      launch.clock.deadline(answerMsMax, what, signal, ask);
    const [failure, bindingKey, registry] = await Promise.all([
      failureOf(() => inTime('KMS', (within) => openProven(operator, number, within)), signal),
      describedBinding(operator, number, inTime, signal),
      registryStatus(operator, number, inTime, signal),
    ]);
    const generations = state.ledger.generations();
    const { createdAt, proof } = generations.find((each) => each.number === number) ?? {};
    const { at: current, all } = state.ledger.count(number);
    const change = state.ledger.change();
    const status: MasterKeyStatus = {
      isReachable: failure === undefined,
      ...(failure === undefined ? {} : { failing: reportOf(failure) }),
      name: agentName,
      bindingKey,
      generation: number,
      createdAt: createdAt?.toISOString() ?? '',
      ...(proof === undefined
        ? {}
        : {
            fingerprint: proof.fingerprint,
            hasPassword: proof.hasPassword,
            openedAt: proof.at.toISOString(),
          }),
      ...(registry === undefined ? {} : { registry }),
      sealedFiles: { current, all },
      generations: generations.map((each) => ({ number: each.number, state: each.state })),
      ...(change === undefined ? {} : { change: changeStatus(change) }),
    };
    return { status, code: failure === undefined ? exitCode.done : asGatehouseError(failure).row.exitCode };
  });
}

/** Of a generation whose wrapped key is gone. */
const unknown = { keyArn: '', algorithm: '' };

function changeStatus(change: Change) {
  const { from, to, startedAt } = change;
  return { from, to, isBack: targetOf(change) === from, since: startedAt.toISOString() };
}

/** Asks somebody who may not answer. @throws DEADLINE_EXCEEDED, and what asking throws */
type InTime = <T>(what: string, ask: (within: AbortSignal) => Promise<T>) => Promise<T>;

async function describedBinding(
  { state, kmsFor }: Operator,
  generation: number,
  inTime: InTime,
  signal: AbortSignal,
): Promise<MasterKeyStatus['bindingKey']> {
  const wrapped = await state.readWrapped(generation);
  const { keyArn: arn, algorithm } = wrapped === undefined ? unknown : wrappingOf(wrapped);
  const kind = algorithm === rsaAlgorithm ? 'rsa' : 'symmetric';
  const region = regionOfKeyId(arn);
  if (region === undefined) return { arn, kind };
  try {
    const described = await inTime('KMS', (within) => kmsFor(region).describeKey(arn, within));
    return { arn, kind, state: described.state };
  } catch (error) {
    // Whoever may not ask for the state still sees whether the key opens.
    signal.throwIfAborted();
    return { arn, kind, stateFailing: reportOf(error) };
  }
}

/** Whether what is here is what the registry would give back, to seal with it as here. */
async function registryStatus(
  operator: Operator,
  generation: number,
  inTime: InTime,
  signal: AbortSignal,
): Promise<MasterKeyStatus['registry']> {
  const registry = boundRegistry(operator);
  if (registry === undefined) return undefined;
  const { table } = registry;
  try {
    const [entries, { size: secretsSeen }] = await inTime('key registry', (within) =>
      Promise.all([registry.list(operator.agentName, within), registry.seen(operator.agentName, within)]),
    );
    const entry = entries.find((each) => each.generation === generation);
    if (entry === undefined) return { table, state: 'lacks it', secretsSeen };
    const wrapped = await operator.state.readWrapped(generation);
    const given = entries.findLast((each) => each.state === 'current');
    // While it changes the registry may still give back the one before, under which files are too.
    const isGiven = given === entry || operator.state.ledger.change() !== undefined;
    const isSame = isGiven && wrapped?.equals(entry.wrapped) === true;
    return { table, state: isSame ? 'agrees' : 'disagrees', secretsSeen };
  } catch (error) {
    signal.throwIfAborted();
    return { table, state: 'unreachable', failing: reportOf(error) };
  }
}

async function failureOf(work: () => Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return error;
  }
}
