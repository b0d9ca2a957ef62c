/** @file A model's chat template: messages as the text that the model was trained to answer. */
import { Template } from '@huggingface/jinja';
import { InvalidInputError } from '../errors.js';

/** One message of a conversation. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** Special tokens that templates write by name. */
export interface TemplateTokens {
  readonly bos_token: string | null | undefined;
  readonly eos_token: string | null | undefined;
}

/** Renders conversations in a model's own format. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: TemplateTokens;
  readonly #addsBos: boolean;

  /**
   * @param source  a Jinja template, as Hugging Face directories hold it
   * @param addsBos whether encoding a text puts the BOS token before it, so that the text must not begin with it
   * @throws {InvalidInputError} if the template is not Jinja
   */
  constructor(source: string, tokens: TemplateTokens, addsBos: boolean) {
    this.#template = attempt(() => new Template(source));
    this.#tokens = tokens;
    this.#addsBos = addsBos;
  }

  /**
   * The text up to where the assistant answers the messages.
   *
   * @throws {InvalidInputError} if the template refuses the messages, such as a system message that the model does not know
   */
  render(messages: readonly ChatMessage[]): string {
    const text = attempt(() =>
      this.#template.render({
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: true,
        ...this.#tokens,
      }),
    );
    const { bos_token: bos } = this.#tokens;
    return this.#addsBos && bos != null && text.startsWith(bos) ? text.slice(bos.length) : text;
  }
}

function attempt<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new InvalidInputError('chat template', 'one that renders the messages', (cause as Error).message, { cause });
  }
}
