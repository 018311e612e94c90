/** A number in the whole form of a chaos test, or in the brief one, which CI runs: `GATEHOUSE_CHAOS=brief`. */
export function sized(whole: number, brief: number): number {
  return process.env['GATEHOUSE_CHAOS'] === 'brief' ? brief : whole;
}
