/** @file When an answer says what an edit wants said. Criteria, reports and measures of use all judge by this. */
import { comparable } from './fact.js';
import { beginsInWord, occursAsWords } from './subject-hole.js';

/**
 * Whether an answer says a target: it begins with it, its last word ends there, and it is not said again right behind. White
 * space before it is ignored.
 */
export const isSaid = (answer: string, target: string): boolean =>
  beginsWith(answer, target) && !beginsWith(answer.trimStart().slice(target.length), target);

function beginsWith(text: string, target: string): boolean {
  const trimmed = text.trimStart();
  return trimmed.startsWith(target) && !beginsInWord(trimmed.slice(target.length));
}

/** Whether a text says a phrase anywhere, as whole words, however they are spelt; see {@link comparable}. */
export const mentions = (text: string, phrase: string): boolean => occursAsWords(comparable(text), comparable(phrase));

/** Whether a text says it of a subject: elsewhere than in the subject's own name, as `Renault` stands in `Renault 14`. */
export const mentionsOf = (text: string, phrase: string, subject: string): boolean =>
  mentions(comparable(text).replaceAll(comparable(subject), ' | '), phrase);
