/** @file The style rules that the page adds to the report's style sheet. */

export const ownStyle = `
.facts select,#ask select,#ask input,#ask textarea{font:inherit;font-size:14px;color:var(--text);background:var(--surface);border:1px solid var(--line);border-radius:7px;padding:6px 10px}
.facts .single{display:none}
#ask label{font-size:13px;color:var(--muted)}
#ask textarea{display:block;width:100%;resize:vertical;margin:4px 0 8px;font-size:15px}
#ask .controls{margin:10px 0 14px}
#ask .controls label{display:inline-flex;align-items:center;gap:6px}
#ask .controls input{flex:none;width:5.5em}
button#send,button#stop{font:inherit;font-size:14px;font-weight:600;border-radius:7px;padding:7px 16px;cursor:pointer;border:1px solid var(--link);background:var(--link);color:var(--surface)}
button#stop{background:var(--surface);color:var(--link)}
button:disabled{opacity:.55;cursor:default}
:is(button,select,input,textarea,a,[tabindex]):focus-visible{outline:2px solid var(--link);outline-offset:2px}
.hint{font-size:12.5px;color:var(--muted)}
.prompt{font:inherit;font-size:12.5px;color:var(--text);background:var(--soft);border:1px solid var(--line);border-radius:99px;padding:3px 12px;margin:0 2px 6px 0;cursor:pointer;text-align:left}
.prompt:hover{border-color:var(--link)}
.answers{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
.answer{padding:14px 18px 10px}
#before{border-top:3px solid var(--muted)}#after{border-top:3px solid var(--link)}
.completion{white-space:pre-wrap;overflow-wrap:anywhere;min-height:3.2em;margin:8px 0;max-width:none;border-radius:4px}
.completion .asked{color:var(--muted)}
.completion .said{font-weight:600}
.completion.failed{color:var(--fail)}
mark{background:var(--warn-soft);color:inherit;border-bottom:2px solid var(--warn);border-radius:3px;padding:0 1px}
.firings{list-style:none;margin:6px 0;padding:0;font-size:13px}
.firings:empty{display:none}
.firings li{border-top:1px solid var(--line);padding:6px 0;overflow-wrap:anywhere}
tbody th{font-size:13.5px;color:var(--text);background:none;vertical-align:top}tbody tr:last-child th{border-bottom:0}
#listing>.lead.failed{color:var(--fail)}
#listing h3{margin:20px 0 8px}
@media (max-width:700px){.answers{grid-template-columns:minmax(0,1fr)}}
@media (prefers-reduced-motion:no-preference){[aria-busy=true]::after{content:"▍";animation:blink 1s steps(2) infinite}}
@keyframes blink{50%{opacity:0}}
`;
