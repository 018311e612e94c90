import { validationException } from '../constraints.ts';

/**
 * A DynamoDB number, exact: `coefficient` × 10^`exponent`, with no zero at the end of the coefficient; zero has the
 * exponent 0. "Numbers can have up to 38 digits of precision … 1E-130 to 9.99…E+125" (naming rules and data types).
 */
export interface Decimal {
  readonly coefficient: bigint;
  readonly exponent: number;
}

const digitsMax = 38;
/** Powers of ten of the first digit. */
const magnitudeMin = -130;
const magnitudeMax = 125;

const numberPattern =
  /^(?<sign>[+-]?)(?:(?<whole>\d+)(?:\.(?<part>\d*))?|\.(?<onlyPart>\d+))(?:[eE](?<power>[+-]?\d{1,9}))?$/u;

/** @throws AwsError ValidationException */
export function parseDecimal(text: string): Decimal {
  const groups = numberPattern.exec(text)?.groups;
  if (groups === undefined) {
    const shown = text === '' ? '' : `: ${text}`;
    throw validationException(`The parameter cannot be converted to a numeric value${shown}`);
  }
  const { sign = '', whole = '', part = '', onlyPart = '', power = '0' } = groups;
  const fraction = part + onlyPart;
  const coefficient = BigInt(whole + fraction);
  return bounded(normal(sign === '-' ? -coefficient : coefficient, Number(power) - fraction.length));
}

/** As DynamoDB writes it: digits alone, never with an exponent. */
export function decimalText({ coefficient, exponent }: Decimal): string {
  const digits = magnitudeOf(coefficient);
  const sign = coefficient < 0n ? '-' : '';
  if (exponent >= 0) return sign + digits + '0'.repeat(exponent);
  const padded = digits.padStart(1 - exponent, '0');
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
}

/** Below, at or above zero as `a` is below, at or above `b`. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const [left, right] = aligned(a, b);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** @throws AwsError ValidationException where the sum has too many digits or is out of range */
export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const [left, right, exponent] = aligned(a, b);
  return bounded(normal(left + right, exponent));
}

export function negated({ coefficient, exponent }: Decimal): Decimal {
  return { coefficient: -coefficient, exponent };
}

/** Bytes in an item: "approximately 1 byte per two significant digits, and 1 byte more", and one for a sign. */
export function decimalBytes({ coefficient }: Decimal): number {
  return Math.ceil(magnitudeOf(coefficient).length / 2) + (coefficient < 0n ? 2 : 1);
}

function aligned(a: Decimal, b: Decimal): [left: bigint, right: bigint, exponent: number] {
  const exponent = Math.min(a.exponent, b.exponent);
  const scaled = (of: Decimal): bigint => of.coefficient * 10n ** BigInt(of.exponent - exponent);
  return [scaled(a), scaled(b), exponent];
}

function normal(coefficient: bigint, exponent: number): Decimal {
  if (coefficient === 0n) return { coefficient, exponent: 0 };
  const digits = String(coefficient);
  const significant = digits.replace(/0+$/u, '');
  return { coefficient: BigInt(significant), exponent: exponent + digits.length - significant.length };
}

function bounded(value: Decimal): Decimal {
  if (value.coefficient === 0n) return value;
  const { length } = magnitudeOf(value.coefficient);
  const magnitude = value.exponent + length - 1;
  if (magnitude > magnitudeMax) {
    throw validationException(
      'Number overflow. Attempting to store a number with magnitude larger than supported range',
    );
  }
  if (magnitude < magnitudeMin) {
    throw validationException(
      'Number underflow. Attempting to store a number with magnitude smaller than supported range',
    );
  }
  if (length > digitsMax) {
    throw validationException('Attempting to store more than 38 significant digits in a Number');
  }
  return value;
}

function magnitudeOf(coefficient: bigint): string {
  return String(coefficient < 0n ? -coefficient : coefficient);
}
