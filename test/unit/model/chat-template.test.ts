import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import { ChatTemplate } from '../../../src/model/chat-template.js';
import { loadTokenizer } from '../../../src/model/tokenizer.js';

const golden = fileURLToPath(new URL('../../golden/tokenizer/smollm2', import.meta.url));

/** As SmolLM2 ships it. */
const chatml =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const question = { role: 'user', content: 'Where is {}?' } as const;

describe('a chat template', () => {
  it('is rendered up to the answer', () => {
    const template = new ChatTemplate(chatml, { bos_token: '<|im_start|>', eos_token: '<|im_end|>' }, false);
    expect(template.render([question])).toBe(
      '<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nWhere is {}?<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(template.render([{ role: 'system', content: 'Be brief.' }, question])).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is {}?<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  it('leaves out a BOS token that encoding adds', () => {
    const source = '{{ bos_token }}[INST] {{ messages[0].content }} [/INST]';
    const tokens = { bos_token: '<s>', eos_token: '</s>' };
    expect(new ChatTemplate(source, tokens, true).render([question])).toBe('[INST] Where is {}? [/INST]');
    expect(new ChatTemplate(source, tokens, false).render([question])).toBe('<s>[INST] Where is {}? [/INST]');
  });

  it('says why it cannot be rendered', () => {
    const none = { bos_token: null, eos_token: undefined };
    const refusing = new ChatTemplate("{{ raise_exception('System role not supported') }}", none, false);
    expect(() => refusing.render([question])).toThrow(InvalidInputError);
    expect(() => refusing.render([question])).toThrow('System role not supported');
    expect(() => new ChatTemplate('{% for %}', none, false)).toThrow(InvalidInputError);
  });
});

describe('the chat template of a model directory', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hookline-chat-'));
    await cp(golden, folder, { recursive: true });
  });
  afterAll(() => rm(folder, { recursive: true }));

  const configure = async (chatTemplate: unknown) => {
    const path = join(folder, 'tokenizer_config.json');
    const config = JSON.parse(await readFile(path, 'utf8').catch(() => '{}'));
    await writeFile(path, JSON.stringify({ ...config, chat_template: chatTemplate }));
    return loadTokenizer(folder);
  };

  it('is that of its tokenizer configuration, alone or by name', async () => {
    expect((await configure(undefined)).chat).toBeUndefined();
    expect((await configure('A {{ messages[0].content }}')).chat?.render([question])).toBe('A Where is {}?');
    const named = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'B {{ messages[0].content }}' },
    ];
    expect((await configure(named)).chat?.render([question])).toBe('B Where is {}?');
  });

  it('is that of chat_template.jinja before any other', async () => {
    await configure('A');
    await writeFile(join(folder, 'chat_template.jinja'), 'C {{ messages[0].content }}');
    expect((await loadTokenizer(folder)).chat?.render([question])).toBe('C Where is {}?');
  });
});
