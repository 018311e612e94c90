import { z } from 'zod';

/** What sources and patterns may be called. */
export const entryName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, 'must be a name: letters, digits, . _ -');
