import { Option } from 'commander';

/** `--held-out`. */
export const heldOutOption = (): Option =>
  new Option('--held-out <file>', 'ordinary text on which drift is measured: plain text or JSONL');
