import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Paths begin so, longest tests first; all others come after them. */
const long = [
  'test/flow/soak',
  'test/flow/',
  'test/tier/',
  'test/unit/functions/bundles',
  'test/cdk/',
  'test/unit/registry/processes',
  'test/unit/registry/version-folder',
  'test/unit/local/local-workflow',
  'test/unit/workflow/stages/control-plane',
];

/** Begins with the longest tests, so that no worker is left alone with one of them at the end. */
export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const path = moduleId.slice(project.config.root.length + 1);
      const place = long.findIndex((start) => path.startsWith(start));
      return place < 0 ? long.length : place;
    };
    // Files of the same rank, and so all of a project without isolation, stay together.
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
