import { Option } from 'commander';
import { InvalidInputError } from '../../errors.js';

/** `--layers 0,1,2`. @param description what the layers are for */
export const layersOption = (description: string): Option =>
  new Option('--layers <list>', description).argParser(parseLayers);

/** Layer numbers between commas. @throws {InvalidInputError} unless they are whole numbers, each once */
function parseLayers(text: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  const layers = parts.map(Number);
  if (parts.every((part) => /^\d{1,6}$/.test(part)) && new Set(layers).size === layers.length) return layers;
  throw new InvalidInputError('--layers', 'different whole numbers such as 0,1,2', JSON.stringify(text));
}
