/** @file When two edits are of the same fact, though they are not written alike. */
import type { Edit } from '../editing/index.js';

/**
 * A text in the form in which it is compared with others: composed (NFC), every run of white space one space, none at
 * the ends, and without regard to case. Only comparisons use it; what is edited stays as it was written.
 */
export const comparable = (text: string): string =>
  text.normalize('NFC').toLowerCase().normalize('NFC').replace(/\s+/gu, ' ').trim();

/** Names the fact that an edit is about: the same for the same subject and prompt, see {@link comparable}. */
export const factOf = ({ subject, prompt }: Pick<Edit, 'subject' | 'prompt'>): string =>
  JSON.stringify([comparable(subject), comparable(prompt)]);
