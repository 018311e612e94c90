import { build } from '../../scripts/build.ts';

/** Global setup of the projects that test the built program: dist/ is what the source is. */
export default async function setup(): Promise<void> {
  await build();
}
