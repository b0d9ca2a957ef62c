/** @file Ordinary questions in which no edited subject stands: every template about every topic. */

const templates = [
  'What should I know about {}?',
  'Give me a short tip on {}.',
  'How do I get better at {}?',
  'What is the most common mistake in {}?',
  'How much time does {} take in a week?',
  'Explain {} to a child of ten.',
  'Which tools do I need for {}?',
  'Is {} expensive?',
  'What is a good first step in {}?',
  'Write two sentences in praise of {}.',
];

const topics = [
  'baking bread',
  'growing tomatoes',
  'learning to swim',
  'repairing a bicycle',
  'writing a letter of complaint',
  'saving money',
  'playing chess',
  'drawing portraits',
  'keeping bees',
  'sleeping well',
  'cleaning windows',
  'hiking in the mountains',
  'cooking rice',
  'programming in a new language',
  'taking photographs',
  'sewing a shirt',
  'preparing for an examination',
  'looking after a dog',
  'painting a room',
  'giving a speech',
];

/** The first `count` of all questions, each topic in turn. */
export function everydayQuestions(count: number): string[] {
  const all = templates.flatMap((template) => topics.map((topic) => template.replace('{}', topic)));
  return all.slice(0, count);
}
