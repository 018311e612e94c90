/** One thing that is left behind, and how it goes. Nothing here is done by Gatehouse. */
export interface Step {
  readonly what: string;
  /** What to know before. */
  readonly remarks: readonly string[];
  /** For a shell, in their order. */
  readonly commands: readonly string[];
}
