/** @file The page's script: it sends a prompt to two models, streams both answers, and follows the version. */

/** JavaScript source. It sets `data-ready` on the root element once the versions are loaded. */
export const servicePageScript = `'use strict';
const element = (id) => document.getElementById(id);
const create = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });
const secondsBetweenLooks = 3;
let serving;
let asking;

/* Server-sent events of a completion. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\\n\\n');
    rest = parts.pop();
    for (const part of parts) if (part.startsWith('data: ') && part !== 'data: [DONE]') yield JSON.parse(part.slice(6));
  }
}

async function failureOf(response) {
  const body = await response.json().catch(() => undefined);
  return body?.error?.message ?? response.status + ' ' + response.statusText;
}

/* A text with its firing tokens marked. */
function marked(className, text, firings) {
  const span = create('span', className, '');
  let done = 0;
  for (const { start: from, end, subject, strength } of [...firings].sort((one, other) => one.start - other.start)) {
    const start = from + /^\\s*/.exec(text.slice(from, end))[0].length;
    if (start < done || end <= start) continue;
    const mark = create('mark', '', text.slice(start, end));
    mark.title = (subject ?? 'gate') + (strength === null ? '' : ', strength ' + strength.toFixed(3));
    span.append(text.slice(done, start), mark);
    done = end;
  }
  span.append(text.slice(done));
  return span;
}

const factOf = ({ prompt, subject, targetNew }) => prompt.replace('{}', () => subject) + ' \\u2192 ' + targetNew;
const originOf = ({ version }) => ', written by version ' + version;

/* One fact is told by itself; several as the subject, with a list of them. */
function firingItems({ firings, edits }) {
  return firings.map(({ subject, editIds, token, layer, strength }) => {
    const item = create('li', '', '');
    const facts = edits.filter(({ id }) => editIds.includes(id));
    const [only] = facts.length === 1 ? facts : [];
    const what = only ? factOf(only) : subject === null ? 'a gate' : subject + ', ' + facts.length + ' edits,';
    item.append(create('strong', '', what), ' fired at ', create('mark', '', token.trim() || token));
    item.append(create('span', 'hint', ' layer ' + layer + (strength === null ? '' : ', strength ' + strength.toFixed(3)) + (only ? originOf(only) : '')));
    if (!only) item.append(...facts.map((fact) => create('div', 'hint', factOf(fact) + originOf(fact))));
    return item;
  });
}

async function ask(side, question, signal) {
  const [panel, model] = [element(side), element(side + '-model').value];
  const [output, status, list] = ['.completion', '.status', '.firings'].map((name) => panel.querySelector(name));
  const said = create('span', 'said', '');
  const started = performance.now();
  output.classList.remove('failed');
  output.replaceChildren(create('span', 'asked', question.prompt), said);
  output.setAttribute('aria-busy', 'true');
  status.textContent = '';
  list.replaceChildren();
  try {
    const body = JSON.stringify({ ...question, model, stream: true, stream_options: { include_usage: true }, hookline: { explain: true } });
    const response = await fetch('/v1/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal });
    if (!response.ok) throw new Error(await failureOf(response));
    let [answeredBy, ending, tokens] = [model, '', 0];
    for await (const { error, model: name, choices, usage } of events(response)) {
      if (error) throw new Error(error.message);
      answeredBy = name;
      if (usage) tokens = usage.completion_tokens;
      for (const { text, finish_reason, hookline } of choices) {
        said.append(text);
        if (finish_reason) ending = finish_reason;
        if (hookline) show(output, question.prompt, said.textContent, hookline, list);
      }
    }
    const seconds = (performance.now() - started) / 1000;
    const why = { stop: 'ended by itself', length: 'token limit' }[ending] ?? ending;
    const silent = answeredBy !== 'base' && list.children.length === 0 ? '; no edit fired' : '';
    status.textContent = answeredBy + ': ' + tokens + ' tokens in ' + seconds.toFixed(2) + ' s, ' + why + silent;
  } catch (error) {
    if (error.name === 'AbortError') status.textContent = 'stopped';
    else { output.classList.add('failed'); output.textContent = error.message; }
  } finally {
    output.setAttribute('aria-busy', 'false');
  }
}

function show(output, prompt, completion, explanation, list) {
  const inText = (text) => explanation.firings.filter((firing) => firing.text === text);
  output.replaceChildren(marked('asked', prompt, inText('prompt')), marked('said', completion, inText('completion')));
  list.replaceChildren(...firingItems(explanation));
}

async function askBoth() {
  asking = new AbortController();
  element('send').disabled = true;
  element('stop').hidden = false;
  const seed = Math.floor(Math.random() * 2 ** 31);
  const question = { prompt: element('prompt').value, max_tokens: Number(element('tokens').value), temperature: Number(element('temperature').value), seed };
  await Promise.all(['before', 'after'].map((side) => ask(side, question, asking.signal)));
  element('send').disabled = false;
  element('stop').hidden = true;
  document.documentElement.dataset.asked = String(Number(document.documentElement.dataset.asked ?? 0) + 1);
}

/* Choices stay where they can; the latest version is offered by the model's own name. */
function offer(id, names, preferred) {
  const select = element(id);
  const kept = names.some(([name]) => name === select.value) ? select.value : preferred;
  select.replaceChildren(...names.map(([name, text]) => new Option(text, name, false, name === kept)));
}

async function showVersions(model) {
  const response = await fetch('/page/versions?model=' + encodeURIComponent(model));
  const listing = element('listing');
  if (!response.ok) {
    listing.replaceChildren(create('p', 'lead failed', await failureOf(response)));
    return;
  }
  listing.innerHTML = await response.text();
  element('suggestions').replaceChildren(...listing.querySelectorAll('#prompts'));
  const numbers = [...listing.querySelectorAll('tr[data-version]')].map((row) => row.dataset.version);
  const names = [['base', 'base model'], [model, 'latest version'], ...numbers.map((number) => [model + '@' + number, 'version ' + number])];
  offer('before-model', names, 'base');
  offer('after-model', names, model);
}

function describe({ version, isReady, reason }) {
  const what = version === null ? (isReady ? 'The base model answers: there is no version yet' : 'Not ready') : 'Serving version ' + version;
  return what + (reason ? ' \\u2013 ' + reason : '');
}

async function look() {
  const model = element('model').value;
  try {
    const { models } = await (await fetch('/readyz')).json();
    const state = models[model];
    const now = model + '@' + state.version;
    element('serving').textContent = describe(state);
    if (now !== serving) {
      await showVersions(model);
      serving = now;
      element('title').textContent = model;
      document.title = 'hookline: ' + model + (state.version === null ? '' : ', version ' + state.version);
    }
    document.documentElement.dataset.ready = 'true';
  } catch (error) {
    element('serving').textContent = 'The service does not answer: ' + error.message;
  }
}

async function follow() {
  if (!document.hidden) await look();
  setTimeout(follow, 1000 * secondsBetweenLooks);
}

element('ask').addEventListener('submit', (event) => { event.preventDefault(); if (!element('send').disabled) askBoth(); });
element('prompt').addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) element('ask').requestSubmit(); });
element('stop').addEventListener('click', () => asking.abort());
element('model').addEventListener('change', look);
element('suggestions').addEventListener('click', ({ target }) => {
  if (target.dataset.prompt === undefined) return;
  element('prompt').value = target.dataset.prompt;
  element('ask').requestSubmit();
});
follow();
`;
