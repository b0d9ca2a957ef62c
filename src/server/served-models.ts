import { HooklineError, InvalidInputError } from '../errors.js';
import { checkModelId } from '../registry/index.js';
import type { EditedModel, VersionHooks } from '../serving/index.js';
import { Lineage, type LineageOptions } from './lineage.js';
import { refusal } from './refusal.js';

/** The name by which requests ask for the base model. */
export const baseName = 'base';

/** The model and version that answer a request. */
export interface Answering {
  /** `<model id>@<version>` or `base`. */
  readonly name: string;
  /** The label in metrics: a model id or `base`. */
  readonly modelId: string;
  /** In the form that a completion request takes. */
  readonly version: VersionHooks | typeof baseName;
}

/** A parsed model name. */
interface ModelName {
  readonly lineage: Lineage | undefined;
  readonly version: number | undefined;
}

/** All models that a request can name: the base model, each model id, and each version of one. */
export class ServedModels {
  readonly edited: EditedModel;
  readonly #lineages: ReadonlyMap<string, Lineage>;

  /**
   * @param modelIds the first one is the default
   * @throws {InvalidInputError} if the list is empty, repeats an id, or holds an invalid one
   */
  constructor(modelIds: readonly string[], options: Omit<LineageOptions, 'modelId' | 'onSwitch'>) {
    const ids = modelIds.map(checkModelId);
    if (ids.length === 0 || new Set([...ids, baseName]).size <= ids.length) {
      throw new InvalidInputError(
        'model ids',
        `one or more, all different and none ${baseName}`,
        `[${ids.join(', ')}]`,
      );
    }
    this.edited = options.edited;
    // The base model runs in the program of the current version: its arithmetic is the same, and it compiles once.
    const onSwitch = (version: VersionHooks) => this.edited.switchTo(version);
    this.#lineages = new Map(
      ids.map((modelId, index) => [modelId, new Lineage({ ...options, modelId, ...(index === 0 && { onSwitch }) })]),
    );
  }

  get lineages(): readonly Lineage[] {
    return [...this.#lineages.values()];
  }

  /** @param modelId the default one unless given @throws {HTTPException} 404 */
  lineage(modelId: string | undefined): Lineage {
    const lineage = modelId === undefined ? this.lineages[0] : this.#lineages.get(modelId);
    if (lineage === undefined) throw this.#noSuchModel(modelId!, 'model');
    return lineage;
  }

  /** Refuses an unknown name before anything is computed. @throws {HTTPException} 404 */
  check(name: string): void {
    this.#parse(name);
  }

  /** Finds and prepares the version that a name stands for. @throws {HTTPException} 404, or 503 if it is not ready */
  async resolve(name: string): Promise<Answering> {
    const { lineage, version } = this.#parse(name);
    if (lineage === undefined) return baseAnswers;
    if (version === undefined) return answering(lineage.latest());
    try {
      return answering(await lineage.version(version));
    } catch (error) {
      if (error instanceof InvalidInputError) throw this.#noSuchModel(name, 'version');
      if (!(error instanceof HooklineError)) throw error;
      throw refusal(503, `model ${name}: a version that can be served, got ${error.message}`, {
        code: 'version_unavailable',
      });
    }
  }

  #parse(name: string): ModelName {
    if (name === baseName) return { lineage: undefined, version: undefined };
    const [, modelId, digits] = /^([^@]+)(?:@(\d{1,6}))?$/.exec(name) ?? [];
    const lineage = modelId === undefined ? undefined : this.#lineages.get(modelId);
    if (lineage === undefined) throw this.#noSuchModel(name, 'model');
    return { lineage, version: digits === undefined ? undefined : Number(digits) };
  }

  #noSuchModel(name: string, what: 'model' | 'version') {
    const ids = [...this.#lineages.keys()];
    const names = what === 'version' ? 'a published version' : [...ids, `<model>@<version>`, baseName].join(', ');
    const details = { param: 'model', code: 'model_not_found' };
    return refusal(404, `model: ${names}, got ${JSON.stringify(name.slice(0, 200))}`, details);
  }
}

const baseAnswers: Answering = { name: baseName, modelId: baseName, version: baseName };

function answering(version: VersionHooks | undefined): Answering {
  if (version === undefined) return baseAnswers;
  const { modelId, version: number } = version.manifest;
  return { name: `${modelId}@${number}`, modelId, version };
}

/** The value of the header `x-hookline-version`: the version's number, or `base`. */
export const versionHeader = (version: VersionHooks | typeof baseName | undefined): string =>
  version === undefined || version === baseName ? baseName : String(version.manifest.version);
