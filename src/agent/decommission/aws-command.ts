import { shellWord } from '../../base/shell-word.ts';

/** Flags of the AWS CLI by name; true for one without a value. */
export type Flags = Readonly<Record<string, string | true>>;

/** A command line of the AWS CLI, for a shell. */
export function awsCommand(service: string, verb: string, flags: Flags): string {
  const words = Object.entries(flags).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, value],
  );
  return ['aws', service, verb, ...words].map((word) => shellWord(word)).join(' ');
}
