import type { ObjectStore } from '../../registry/index.js';
import type { RegisterModelRequest, Registration } from '../../workflow/index.js';
import type { RegistrationOptions } from '../options/workflow-options.js';
import type { Terminal } from '../terminal/terminal.js';

/** A model to register, and with what. */
export interface ModelToRegister {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly directory: string;
  readonly options: RegistrationOptions;
  /** What else the registration says. */
  readonly more?: Partial<RegisterModelRequest>;
}

/**
 * Registers a model with the settings of the command line; the same again changes nothing. A store in S3 gets the model's
 * files too: whoever runs the workflow on it may be another machine.
 */
export async function register(
  terminal: Terminal,
  { store, modelId, directory, options, more = {} }: ModelToRegister,
): Promise<Registration> {
  const { registerModel } = await import('../../workflow/index.js');
  const { S3ObjectStore } = await import('../../registry/index.js');
  const { givenSettings } = await import('../options/setting-options.js');
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const { corpus, heldOut, roundSize, compareGates } = options;
  const progress = stageProgress(terminal);
  const registration = await registerModel(
    store,
    {
      modelId,
      modelDirectory: directory,
      upload: store instanceof S3ObjectStore,
      settings: await givenSettings(options),
      compareGates,
      ...(corpus !== undefined && { corpusPath: corpus }),
      ...(heldOut !== undefined && { heldOutPath: heldOut }),
      ...(roundSize !== undefined && { roundSize }),
      ...more,
    },
    progress,
  );
  progress.finish();
  return registration;
}
