import { html, Markup, pageStyle } from '../../evaluation/index.js';
import { servicePageScript } from './page-script.js';
import { ownStyle } from './page-style.js';

/** The data that the page contains from the start. */
export interface PageData {
  /** The first id is selected when the page opens. */
  readonly modelIds: readonly string[];
  readonly modelDigest: string;
  /** Upper limit of new tokens per answer. */
  readonly maxTokens: number;
  /** The nonce of the content security policy, which permits only the page's own script and style. */
  readonly nonce: string;
}

/** Renders the page as one HTML file. It loads nothing but answers of this service. */
export function renderPage({ modelIds, modelDigest, maxTokens, nonce }: PageData): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>hookline: ${modelIds[0]}</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${new Markup(pageStyle + ownStyle)}</style>
</head>
<body>
<main>
<header>
<h1 id="title">${modelIds[0]}</h1>
<p class="lead"><span id="serving" role="status">Looking for its versions …</span></p>
<dl class="facts">
${modelPicker(modelIds)}
<div><dt>Base model</dt><dd class="digest" title="${modelDigest}">${modelDigest.slice(0, 19)}…</dd></div>
</dl>
</header>
<section aria-labelledby="ask-head"><h2 id="ask-head">Before and after</h2>
${askForm(maxTokens)}
<div class="answers">${answer('before')}${answer('after')}</div>
</section>
<section aria-labelledby="versions-head"><h2 id="versions-head">Versions</h2><div id="listing"></div></section>
<footer>Answers come from this machine. Shares that were not measured are shown as –.</footer>
</main>
<script nonce="${nonce}">${new Markup(servicePageScript)}</script>
</body>
</html>
`.text;
}

function modelPicker(modelIds: readonly string[]): Markup {
  const options = modelIds.map((id) => html`<option>${id}</option>`);
  const isOne = modelIds.length === 1;
  return html`<div class="${isOne ? 'single' : ''}"><dt><label for="model">Model</label></dt><dd><select id="model">${options}</select></dd></div>`;
}

function askForm(maxTokens: number): Markup {
  return html`<form id="ask">
<label for="prompt">Prompt</label>
<textarea id="prompt" rows="2" required spellcheck="false" aria-describedby="keys"></textarea>
<div id="suggestions"></div>
<div class="controls">
<label>Before <select id="before-model"></select></label>
<label>After <select id="after-model"></select></label>
<label>Tokens <input id="tokens" type="number" min="1" max="${maxTokens}" value="${Math.min(24, maxTokens)}"></label>
<label>Temperature <input id="temperature" type="number" min="0" max="2" step="0.1" value="0"></label>
<button id="send" type="submit">Ask both</button>
<button id="stop" type="button" hidden>Stop</button>
<span id="keys" class="hint">Ctrl+Enter asks</span>
</div>
</form>`;
}

const answer = (
  side: 'before' | 'after',
): Markup => html`<article class="panel answer" id="${side}" aria-labelledby="${side}-name">
<h3 id="${side}-name">${side === 'before' ? 'Before' : 'After'}</h3>
<p class="completion" tabindex="0" aria-live="polite" aria-busy="false"></p>
<p class="hint status"></p>
<ul class="firings"></ul>
</article>`;
