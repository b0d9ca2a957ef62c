import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { type ContentDigest, digestOfFile, inboxPrefix } from '../registry/index.js';
import type { ExecutionInput } from '../workflow/index.js';
import { InboxScan, isHidden } from './inbox-scan.js';

/** The event that S3 sends to EventBridge for a new object, with the fields that are known here. */
export interface ObjectCreatedEvent {
  readonly version: '0';
  readonly id: string;
  readonly 'detail-type': 'Object Created';
  readonly source: 'aws.s3';
  readonly account: string;
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: {
    readonly version: '0';
    readonly bucket: { readonly name: string };
    readonly object: { readonly key: string; readonly size: number; readonly etag: string; readonly sequencer: string };
    readonly 'request-id': string;
    readonly requester: string;
    readonly reason: string;
  };
}

/** The event of a file that was dropped into a store's folder. */
export function objectCreated(storeRoot: string, key: string, content: ContentDigest, at: Date): ObjectCreatedEvent {
  const bucket = basename(resolve(storeRoot));
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Object Created',
    source: 'aws.s3',
    account: '000000000000',
    time: at.toISOString(),
    region: 'local',
    resources: [`arn:aws:s3:::${bucket}`],
    detail: {
      version: '0',
      bucket: { name: bucket },
      object: {
        key,
        size: content.sizeBytes,
        etag: content.sha256,
        sequencer: at.getTime().toString(16).toUpperCase().padStart(16, '0'),
      },
      'request-id': randomUUID(),
      requester: 'local',
      reason: 'PutObject',
    },
  };
}

/** The input of an execution, made from the event as by the rule's input transformer. */
export const executionInputOf = (event: ObjectCreatedEvent): ExecutionInput => ({
  trigger: 'drop',
  objectKey: event.detail.object.key,
  modelId: '',
});

export interface InboxWatcherOptions {
  /** The store's folder. */
  readonly storeRoot: string;
  readonly onObject: (event: ObjectCreatedEvent) => void;
  readonly onError: (error: Error) => void;
  /** A file is complete when its size has not changed for this long. */
  readonly stableMilliseconds?: number;
  /** Pause between two looks for files that the system did not report; 5 by default. */
  readonly scanSeconds?: number;
}

/** A watch. It goes on until it is closed. */
export interface InboxWatcher {
  close(): Promise<void>;
}

/**
 * Watches `<store>/incoming/` and reports every file there, old or new, once it is complete. Hidden files and links are
 * ignored.
 */
export async function watchInbox(options: InboxWatcherOptions): Promise<InboxWatcher> {
  const { watch } = await import('chokidar');
  const folder = join(resolve(options.storeRoot), inboxPrefix);
  await mkdir(folder, { recursive: true });
  const stabilityThreshold = options.stableMilliseconds ?? 300;
  const watcher = watch(folder, {
    awaitWriteFinish: { stabilityThreshold, pollInterval: Math.max(10, stabilityThreshold / 5) },
    followSymlinks: false,
    ignored: (path) => isHidden(folder, path),
  });
  const scan = new InboxScan(folder);
  const fail = (error: unknown) => options.onError(error as Error);
  const tell = (path: string) => {
    scan
      .tell(path)
      .then(() => announce(path, options))
      .catch(fail);
  };
  watcher.on('add', tell).on('change', tell);
  watcher.on('error', fail);
  await new Promise<void>((resolveReady) => watcher.once('ready', () => resolveReady()));
  const scans = setInterval(
    () => {
      scan.missed().then((paths) => paths.forEach(tell), fail);
    },
    1000 * (options.scanSeconds ?? 5),
  );
  return {
    close: () => {
      clearInterval(scans);
      return watcher.close();
    },
  };
}

async function announce(path: string, { storeRoot, onObject }: InboxWatcherOptions): Promise<void> {
  const key = relative(resolve(storeRoot), path).split(sep).join('/');
  try {
    onObject(objectCreated(storeRoot, key, await digestOfFile(path), new Date()));
  } catch (error) {
    // An execution that was started in another way has taken it already.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
