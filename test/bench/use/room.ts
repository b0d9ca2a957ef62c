/** @file What the situations of use share: models, data and batches that several of them look at. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Edit } from '../../../src/editing/index.js';
import { type EditMeasurement, measureEdits, readBatch } from '../../../src/evaluation/index.js';
import type { Figure } from '../figure.js';
import { firstRecord, type RecordCounts, rangeOf } from './records.js';
import type { Workshop, Written } from './workshop.js';

/** What a situation says: figures, and what a reader must know of them. */
export interface Situation {
  readonly figures: readonly Figure[];
  readonly notes?: readonly string[];
}

/** Files of one data set. */
export type DataSet = keyof typeof firstRecord;

const files = { counterfact: 'counterfact.jsonl', zsre: 'zsre.jsonl', qaedit: 'qaedit.json' } as const;
const titles = { counterfact: 'CounterFact', zsre: 'zsRE', qaedit: 'QAEdit' } as const;

/** A batch of a data set, once it is written. */
export interface WrittenRecords {
  readonly written: Written;
  readonly edits: readonly Edit[];
  /** Such as `CounterFact 600-659`. */
  readonly range: string;
  readonly measurements: readonly EditMeasurement[];
}

/** A real model and real records. */
export class RealRoom {
  readonly #batches = new Map<DataSet, Promise<WrittenRecords | string>>();

  constructor(
    readonly workshop: Workshop,
    readonly counts: RecordCounts,
    readonly dataFolder: string,
    /** What is written of each edit that is read. */
    readonly written: (edit: Edit) => Edit = (edit) => edit,
  ) {}

  /** The same room, in which other edits are written of the same records. */
  where(written: (edit: Edit) => Edit): RealRoom {
    return new RealRoom(this.workshop, this.counts, this.dataFolder, written);
  }

  /** Edits of a data set from its first reported record on; a text says why it cannot be read. */
  async read(set: DataSet, count: number): Promise<readonly Edit[] | string> {
    const { edits, rejected } = await readBatch(join(this.dataFolder, files[set]), {
      offset: firstRecord[set],
      limit: count,
    });
    return edits.length > 0
      ? edits.map(this.written)
      : `${titles[set]} is not read: ${rejected[0]?.reason ?? 'no records'}`;
  }

  /** The batch of a data set: written and measured when it is first asked for. A text says why there is none. */
  batch(set: DataSet): Promise<WrittenRecords | string> {
    const batch = this.#batches.get(set) ?? this.#write(set);
    this.#batches.set(set, batch);
    return batch;
  }

  /** The relation of each CounterFact record, by the id of its edit. */
  async relations(): Promise<ReadonlyMap<string, string>> {
    const text = await readFile(join(this.dataFolder, files.counterfact), 'utf8');
    const records = text.split('\n').filter((line) => line.trim() !== '');
    return new Map(
      records.map((line) => {
        const { case_id: caseId, requested_rewrite: rewrite } = JSON.parse(line);
        return [`counterfact-${caseId}`, String(rewrite.relation_id)];
      }),
    );
  }

  async #write(set: DataSet): Promise<WrittenRecords | string> {
    const edits = await this.read(set, this.counts[set]);
    if (typeof edits === 'string') return edits;
    const range = rangeOf(titles[set], firstRecord[set], this.counts[set]);
    const written = await this.workshop.write(range, [edits]);
    const { model, tokenizer, hooks } = written;
    return { written, edits, range, measurements: await measureEdits(model, tokenizer, edits, hooks) };
  }
}
