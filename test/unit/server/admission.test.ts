import fc from 'fast-check';
import type { HTTPException } from 'hono/http-exception';
import { describe, expect, it } from 'vitest';
import { Admission } from '../../../src/server/admission.js';

const never = new AbortController().signal;
const turns = () => new Promise((resolve) => setImmediate(resolve));

describe('admission', () => {
  it('lets in as many choices as fit, and the others in the order in which they came', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 30 }), async (sizes) => {
        const admission = new Admission({ maxConcurrency: 4, maxQueue: 100 });
        const order: number[] = [];
        let running = 0;
        await Promise.all(
          sizes.map(async (choices, index) => {
            const leave = await admission.enter(choices, never);
            order.push(index);
            running += choices;
            expect(running).toBeLessThanOrEqual(4);
            await turns();
            running -= choices;
            leave();
          }),
        );
        expect(order).toEqual(sizes.map((_, index) => index));
        expect([admission.active, admission.queued]).toEqual([0, 0]);
      }),
      { numRuns: 30 },
    );
  });

  it('sends away whoever finds the queue full, with the time to come again', async () => {
    const admission = new Admission({ maxConcurrency: 1, maxQueue: 1 });
    const leave = await admission.enter(1, never);
    const second = admission.enter(1, never);
    expect(admission.queued).toBe(1);
    const refused = await admission.enter(1, never).catch((error: HTTPException) => error.getResponse());
    expect(refused).toMatchObject({ status: 429 });
    expect((refused as Response).headers.get('retry-after')).toBe('1');
    leave();
    (await second)();
    expect(admission.active).toBe(0);
  });

  it('forgets who gave up waiting, and lets in who stood behind', async () => {
    const admission = new Admission({ maxConcurrency: 2, maxQueue: 5 });
    const leave = await admission.enter(1, never);
    const impatient = new AbortController();
    const large = admission.enter(2, impatient.signal);
    const small = admission.enter(1, never);
    await turns();
    expect([admission.active, admission.queued]).toEqual([1, 2]);
    impatient.abort(new Error('gone'));
    await expect(large).rejects.toThrow('gone');
    (await small)();
    leave();
    expect([admission.active, admission.queued]).toEqual([0, 0]);
    await expect(admission.enter(1, AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  });
});
