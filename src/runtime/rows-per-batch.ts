/** Rows of one forward pass: enough to keep the processor's matrix products busy. */
export const rowsPerBatch = 1024;
