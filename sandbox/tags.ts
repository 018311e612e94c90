import type { AwsError } from './service.ts';

/** Tags per resource ("Tag quotas", AWS General Reference). */
export const tagsMax = 50;

/** Letters, digits, spaces and a few signs, in any script ("Tag naming limits", AWS General Reference). */
const tagPattern = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/**
 * Adds tags, replacing those of the same key, and returns `tags`: all of them, or none and the error that `refuse`
 * makes, for one bad tag or for too many.
 */
export function addTags(
  tags: Map<string, string>,
  added: readonly (readonly [key: string, value: string])[],
  refuse: (what: 'tag' | 'count', message: string) => AwsError,
): Map<string, string> {
  const keys = new Set(added.map(([key]) => key));
  if (keys.size !== added.length) throw refuse('tag', 'Duplicate tag keys are not allowed.');
  for (const [key, value] of added) {
    if (key.toLowerCase().startsWith('aws:')) {
      throw refuse('tag', 'aws: prefixed tag key names are not allowed for external use.');
    }
    if (!tagPattern.test(key) || !tagPattern.test(value)) {
      throw refuse('tag', 'Tag keys and values hold letters, digits, spaces and _ . : / = + - @ only.');
    }
  }
  if (new Set([...tags.keys(), ...keys]).size > tagsMax) {
    throw refuse('count', `A resource has at most ${tagsMax} tags.`);
  }
  for (const [key, value] of added) tags.set(key, value);
  return tags;
}
