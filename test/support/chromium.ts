/** @file Headless Chromium, driven over its debugging pipe. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { until } from './patience.js';

const candidates = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser'];

/** Where Chromium is; undefined where there is none. */
export const chromiumPath = candidates.find((path) => path !== undefined && path !== '' && existsSync(path));

/** Flags of every run: no window, and nothing fetched that no page asked for. */
export const chromiumFlags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** One tab of a browser of its own. */
export class ChromiumTab {
  /** Errors, warnings and broken policies that the page wrote to the console. */
  readonly messages: string[] = [];
  /** Addresses that were asked for. */
  readonly requests: string[] = [];
  readonly #pending = new Map<number, (message: Message) => void>();
  #nextId = 1;
  #sessionId: string | undefined;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    let rest = '';
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\0');
      rest = parts.pop()!;
      for (const part of parts) this.#hear(JSON.parse(part) as Message);
    });
  }

  static async open(): Promise<ChromiumTab> {
    const folder = mkdtempSync(join(tmpdir(), 'chromium-'));
    const flags = [...chromiumFlags, '--remote-debugging-pipe', `--user-data-dir=${folder}`, 'about:blank'];
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const;
    const child = spawn(chromiumPath!, flags, { stdio: [...stdio], detached: true });
    const tab = new ChromiumTab(child, folder);
    const { targetId } = await tab.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await tab.send('Target.attachToTarget', { targetId, flatten: true });
    tab.#sessionId = sessionId as string;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await tab.send(`${domain}.enable`);
    return tab;
  }

  /** A command of the DevTools protocol. */
  async send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.#nextId++;
    const sessionId = this.#sessionId;
    const answer = new Promise<Message>((resolve) => this.#pending.set(id, resolve));
    (this.#child.stdio[3] as Writable).write(
      `${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`,
    );
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result!;
  }

  /** The value of an expression in the page, once it is truthy. */
  waitFor<T>(expression: string) {
    return until(
      () => this.evaluate<T>(expression),
      () => `nothing of ${expression}`,
    );
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: T }).value;
  }

  /** Goes to an address and waits until the page says that it is ready. */
  async goTo(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
    await this.waitFor("document.documentElement?.dataset.ready === 'true'");
  }

  /** Types into whatever has the focus. */
  async type(text: string): Promise<void> {
    await this.send('Input.insertText', { text });
  }

  /** Presses a key. @param modifiers 2 is Ctrl */
  async press(key: string, code: number, modifiers = 0): Promise<void> {
    const event = { key, code: key, windowsVirtualKeyCode: code, modifiers };
    await this.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...event });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** A PNG of the whole page, base64. */
  async screenshot(width: number, scheme: 'light' | 'dark'): Promise<string> {
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    await this.send('Emulation.setScrollbarsHidden', { hidden: true });
    await this.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false });
    const { data } = await this.send('Page.captureScreenshot', { captureBeyondViewport: true });
    return data as string;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once('close', resolve));
    // The whole group: a browser's children outlive it for a while, and write into its folder.
    process.kill(-this.#child.pid!, 'SIGKILL');
    await closed;
    // Not `rmSync`, whose retries do not see files that have come since its first look.
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }

  #hear({ id, method, params, ...answer }: Message): void {
    if (id !== undefined) this.#pending.get(id)?.(answer);
    if (method === 'Network.requestWillBeSent') this.requests.push((params!.request as { url: string }).url);
    const entry = params?.entry as { level: string; text: string } | undefined;
    if (method === 'Log.entryAdded' && entry!.level !== 'verbose') this.messages.push(entry!.text);
    if (method === 'Runtime.exceptionThrown' || method === 'Runtime.consoleAPICalled') {
      this.messages.push(JSON.stringify(params));
    }
  }
}
