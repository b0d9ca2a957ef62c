/** @file A peer's edits, as hooks that the product's own code measures. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Edit, HookLayer } from '../../../src/editing/index.js';
import type { Matrix } from '../../../src/linalg/index.js';
import type { Model } from '../../../src/model/index.js';
import { readLoraHooks } from '../../../src/serving/index.js';
import { encodeSafetensors, tensor } from '../../../src/tensor/index.js';
import { runPython } from '../../support/python.js';
import { root } from '../options.js';
import type { PeerSettings } from './peer-settings.js';

/** What a peer is given. */
export interface PeerRequest {
  readonly python: string;
  readonly model: Model;
  /** Lower triangle of `C0` by layer: float64 [dInner, dInner]. */
  readonly moments: ReadonlyMap<number, Matrix>;
  /** Templates that prompts are put into, the bare one first. */
  readonly contexts: readonly string[];
  readonly settings: PeerSettings;
  /** Written one after the other. */
  readonly rounds: readonly (readonly Pick<Edit, 'subject' | 'prompt' | 'targetNew'>[])[];
}

/** What a peer made of its edits. */
export interface PeerEdits {
  /** Its weight change, for the gate `none`. */
  readonly hooks: readonly HookLayer[];
  readonly rounds: readonly {
    readonly searchSeconds: number;
    /** Search, keys and solve; without opening the model. */
    readonly seconds: number;
    /** Of each edit's search. */
    readonly steps: readonly number[];
  }[];
  /** As PyTorch says it of each edit's target after its prompt, in the model with all edits. */
  readonly nll: readonly number[];
}

/** Threads of PyTorch: as many as ONNX Runtime takes on the machine of docs/results.md. */
const threads = 2;

/** Lets a peer edit, in a process of its own. */
export async function editWithPeer(request: PeerRequest): Promise<PeerEdits> {
  const { python, model, moments, contexts, settings, rounds } = request;
  const folder = await mkdtemp(join(tmpdir(), 'hookline-peer-'));
  try {
    const momentsPath = join(folder, 'moments.safetensors');
    const tensors = [...moments].map(
      ([layer, { rows, columns, data }]) => [`moment.${layer}`, tensor('float64', [rows, columns], data)] as const,
    );
    await writeFile(momentsPath, encodeSafetensors(new Map(tensors)));
    const script = { file: join(root, 'test/bench/peers/edit_weights.py') };
    const edited = await runPython<Omit<PeerEdits, 'hooks'>>(python, script, {
      model: model.directory,
      moments: momentsPath,
      contexts,
      settings,
      rounds: rounds.map((edits) =>
        edits.map(({ subject, prompt, targetNew }) => ({ subject, prompt, target: targetNew })),
      ),
      folder,
      threads,
    });
    return { ...edited, hooks: await readLoraHooks(folder, model) };
  } finally {
    await rm(folder, { recursive: true });
  }
}
