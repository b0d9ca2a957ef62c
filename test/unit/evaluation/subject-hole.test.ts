import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillTemplate } from '../../../src/editing/index.js';
import { asTemplate } from '../../../src/evaluation/subject-hole.js';

// Few letters, so that the subject often occurs several times, inside of words too.
const unit = fc.constantFrom('A', 'b', ' ', '.', '$', '&', '{', '}', 'é', '北', '\u{1f30a}');
const text = fc.string({ unit, maxLength: 8 }).filter((some) => !some.includes('{}'));
const subject = fc.string({ unit, minLength: 1, maxLength: 3 }).filter((some) => !some.includes('{}'));

const inCapitals = (some: string) => some.toUpperCase();

describe('a text as a template', () => {
  it('has one {} and gives the text back when it is filled in', () => {
    fc.assert(
      fc.property(text, subject, text, (before, name, after) => {
        const written = `${before}${name}${after}`;
        fc.pre(!written.includes('{}'));
        const template = asTemplate(written, name);
        expect(template?.split('{}')).toHaveLength(2);
        expect(fillTemplate(template!, name)).toBe(written);
      }),
      { numRuns: 2000 },
    );
  });

  it('finds a subject in other letters only where that is asked for', () => {
    fc.assert(
      fc.property(text, subject, (before, name) => {
        const written = `${before}${inCapitals(name)}`;
        fc.pre(!written.includes('{}') && !written.includes(name));
        expect(asTemplate(written, name)).toBeUndefined();
        const template = asTemplate(written, name, 'any');
        expect(template?.split('{}')).toHaveLength(2);
        expect(inCapitals(fillTemplate(template!, name))).toBe(inCapitals(written));
      }),
    );
  });

  it.each([
    ['US', 'Is USA the US?', 'Is USA the {}?'],
    ['US', 'USA', '{}A'],
    ['US', 'The US and the US', 'The {} and the US'],
    ['US', 'The {} and the US', 'The {} and the US'],
    ['US', '{} and {}', undefined],
    ['US', 'the us', undefined],
    ['北京', '人们说北京在', '人们说{}在'],
  ])('finds %j in %j', (name, written, template) => {
    expect(asTemplate(written, name)).toBe(template);
  });
});
