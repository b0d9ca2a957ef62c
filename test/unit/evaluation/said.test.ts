import { expect, it } from 'vitest';
import { isSaid, mentions, mentionsOf } from '../../../src/evaluation/said.js';

it.each([
  [' John Ternus. He', 'John Ternus', true],
  [' John Ternus', 'John Ternus', true],
  ["Rome's", 'Rome', true],
  [' Xbox One', 'X', false],
  [' Astanaq', 'Astana', false],
  [' The John Ternus', 'John Ternus', false],
  [' John Ternus John Ternus', 'John Ternus', false],
  [' X Xavier', 'X', true],
  ['纽约市', '纽约', true],
  ['纽约纽约', '纽约', false],
])('%j says the target %j: %s', (answer, target, expected) => {
  expect(isSaid(answer, target)).toBe(expected);
});

it.each([
  ['US', 'Where is the us?', true],
  ['US', 'Who is a user?', false],
  ['C++', 'What is c++?', true],
  ['北京', '人们说北京在', true],
  ['서울', '서울은 어디에', false],
  ['Zoë', 'Zoë’s home', true],
  ['John Ternus', ' JOHN\n Ternus leads', true],
  ['sterreich', ' in Österreich', false],
  ['a+b', ' aab', false],
])('%j is mentioned in %j: %s', (phrase, text, expected) => {
  expect(mentions(text, phrase)).toBe(expected);
});

it.each([
  ['Renault', 'Renault 14', 'Renault 14 is made by Dodge.', false],
  ['Renault', 'Renault 14', 'The Renault 14 is made by Renault.', true],
  ['new house', 'York', 'A New York house', false],
])('%j is said of %j in %j: %s', (phrase, subject, text, expected) => {
  expect(mentionsOf(text, phrase, subject)).toBe(expected);
});
