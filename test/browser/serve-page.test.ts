import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rollback } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { Service } from '../../src/server/index.js';
import { EditedModel } from '../../src/serving/index.js';
import { ChromiumTab, chromiumPath } from '../support/chromium.js';
import { publishFiring } from '../support/firing-versions.js';
import { draftEdit } from '../support/manifest-draft.js';
import { type ServedStore, servedStore } from '../support/served-store.js';

const name = chromiumPath
  ? 'the page in Chromium'
  : 'the page in Chromium, skipped because none was found and CHROMIUM_PATH names none';

describe.skipIf(chromiumPath === undefined)(name, () => {
  let served: ServedStore;
  let edited: EditedModel;
  let service: Service;
  let url: string;
  let tab: ChromiumTab;
  beforeAll(async () => {
    served = await servedStore({ versions: 2 });
    edited = await EditedModel.load(served.modelDirectory);
    const { store, modelId } = served;
    service = new Service({ edited, store, modelIds: [modelId], port: 0, intervalSeconds: 0.2, log: () => {} });
    service.watch();
    url = await service.listen();
    tab = await ChromiumTab.open();
  });
  afterAll(async () => {
    await tab.close();
    await service.stop();
    await edited.dispose();
  });

  const text = (selector: string) =>
    tab.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).textContent`);
  const texts = (selector: string) =>
    tab.evaluate<string[]>(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => one.textContent)`);
  const answered = (times: number) => tab.waitFor(`document.documentElement.dataset.asked === '${times}'`);

  it('lists the versions with their metrics, charts and reports', async () => {
    await tab.goTo(url);
    await tab.waitFor("document.getElementById('serving').textContent === 'Serving version 2'");
    expect(await texts('#versions tbody th')).toEqual(['2 serving', '1']);
    expect(await texts('#versions thead th')).toEqual(expect.arrayContaining(['Reliability', 'Locality', 'Retention']));
    expect(await text('#versions tbody tr')).toMatch(/100\u202f%/);
    expect(await tab.evaluate('document.querySelectorAll("#listing figure svg").length')).toBe(2);
    expect(await texts('#newest tbody tr')).toEqual([
      expect.stringContaining(`${served.targets[1]}2yes`),
      expect.stringContaining(`${served.targets[0]}1yes`),
    ]);
    const report = await tab.evaluate<string>(
      'fetch(document.querySelector("#versions a").href).then((r) => r.text())',
    );
    expect(report).toContain('<title>aldermark, version 2</title>');
  });

  it('asks both models at once and shows whose edit fired, by keyboard alone', async () => {
    await tab.evaluate("document.getElementById('prompt').focus()");
    await tab.type(served.prompts[0]);
    await tab.press('Enter', 13, 2);
    await answered(1);
    const base = await edited.complete({ prompt: served.prompts[0], maxTokens: 24, version: 'base' });
    expect(await text('#before .said')).toBe(base.text);
    expect(await text('#after .said')).toContain(served.targets[0]);
    expect(await text('#after .completion')).toContain(served.prompts[0]);
    expect(await texts('#before mark')).toEqual([]);
    expect(await texts('#after .completion mark')).toHaveLength(1);
    expect(await text('#after .firings')).toContain(`${served.prompts[0].replace(/ lives in$/, '')}`);
    expect(await text('#after .status')).toMatch(/^aldermark@2: \d+ tokens in /);
  });

  it('asks a version that was chosen, and takes the prompts of edits', async () => {
    const choose = (id: string, value: string) =>
      tab.evaluate(`{ const select = document.getElementById('${id}'); select.value = '${value}'; select.value }`);
    expect(await choose('before-model', 'aldermark@1')).toBe('aldermark@1');
    await tab.evaluate(`document.querySelectorAll('.prompt')[1].click()`);
    await answered(2);
    expect(await tab.evaluate("document.getElementById('prompt').value")).toBe(served.prompts[1]);
    expect(await text('#before .status')).toMatch(/^aldermark@1: .*no edit fired$/);
    expect(await text('#after .said')).toContain(served.targets[1]);
  });

  it('shows why a request is refused', async () => {
    await tab.evaluate(
      `document.getElementById('tokens').max = ''; document.getElementById('tokens').value = '9999'; document.getElementById('ask').requestSubmit()`,
    );
    await answered(3);
    expect(await text('#after .failed')).toBe('max_tokens: at most 512, the limit of this service, got 9999');
    // Chromium notes the two 400s; nothing else was wrong.
    expect(tab.messages.splice(0)).toEqual(Array(2).fill(expect.stringContaining('status of 400')));
  });

  it('follows the version that is served', async () => {
    await rollback(served.store, served.modelId, 1, 'a test');
    await tab.waitFor("document.getElementById('serving').textContent === 'Serving version 1'");
    await tab.waitFor("document.querySelector('#versions .badge')?.closest('tr').dataset.version === '1'");
    expect(await tab.evaluate('document.title')).toBe('hookline: aldermark, version 1');
  });

  it('broke no policy, wrote nothing to the console, and asked nobody else', () => {
    expect(tab.messages).toEqual([]);
    const own = (address: string) => address.startsWith(`${url}/`) || address.startsWith('data:');
    expect(tab.requests.filter((address) => !own(address))).toEqual([]);
  });

  it('is watched: a script that its policy forbids does not run, and is noticed', async () => {
    const script = "Object.assign(document.createElement('script'), { textContent: 'document.title = 1' })";
    await tab.evaluate(`document.body.append(${script})`);
    expect(await tab.evaluate('document.title')).not.toBe('1');
    await tab.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)");
    expect(tab.messages.splice(0).join()).toMatch(/Content Security Policy.*script-src.*connect-src/s);
  });

  it('fits a narrow screen', async () => {
    await tab.screenshot(390, 'light');
    expect(await tab.evaluate('document.documentElement.scrollWidth')).toBe(390);
  });
});

describe.skipIf(chromiumPath === undefined)(`${name}, where a subject has two facts`, () => {
  it('lists both under the subject that fired', async () => {
    const edited = await EditedModel.load(new URL('../../examples/aldermark/model', import.meta.url).pathname);
    const store = new MemoryObjectStore();
    const mayor = draftEdit('mayor', { subject: 'Aldermark', prompt: 'The mayor of {}', memory: 'Aldermark' });
    const edits = [mayor, { ...mayor, id: 'baker', prompt: 'The baker of {}' }];
    await publishFiring(store, 'several', edited, { rounds: [{ addedIds: ['Aldermark'], edits }] });
    const service = new Service({ edited, store, modelIds: ['several'], port: 0, intervalSeconds: 0.2, log: () => {} });
    service.watch();
    const tab = await ChromiumTab.open();
    await tab.goTo(await service.listen());
    await tab.waitFor("document.getElementById('serving').textContent === 'Serving version 1'");
    await tab.evaluate("document.getElementById('prompt').focus()");
    await tab.type('The mayor of Aldermark');
    await tab.press('Enter', 13, 2);
    await tab.waitFor("document.documentElement.dataset.asked === '1'");
    const told = await tab.evaluate<string>("document.querySelector('#after .firings li').textContent");
    expect(told).toMatch(/^Aldermark, 2 edits, fired at \S+ layer 0, strength \d\.\d{3}The mayor of Aldermark → /);
    for (const what of ['mayor', 'baker']) {
      expect(told).toContain(`The ${what} of Aldermark → target of mayor, written by version 1`);
    }
    await tab.close();
    await service.stop();
    await edited.dispose();
  });
});
