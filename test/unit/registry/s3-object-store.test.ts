import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ConflictError,
  NoSuchKeyError,
  PermanentError,
  PreconditionFailedError,
  TransientError,
} from '../../../src/errors.js';
import { S3ObjectStore } from '../../../src/registry/index.js';
import { type Answer, type Gateway, s3Error, startGateway } from '../../support/s3-gateway.js';

const bytes = new TextEncoder().encode('one');
const written: Answer = { status: 200, headers: { etag: '"e"' } };
const environment = {
  AWS_ENDPOINT_URL_S3: '',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_REGION: 'us-east-1',
};
const before = Object.keys(environment).map((name) => [name, process.env[name]] as const);

let gateway: Gateway;
let store: S3ObjectStore;
beforeAll(async () => {
  gateway = await startGateway(() => undefined);
  Object.assign(process.env, environment, { AWS_ENDPOINT_URL_S3: gateway.endpoint });
});
afterAll(async () => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await gateway.stop();
});
beforeEach(() => {
  store = new S3ObjectStore('some-bucket', 'in');
});
afterEach(() => {
  (gateway.received as unknown[]).length = 0;
});

/** Answers the requests in turn; the last answer stays. */
function answering(...answers: readonly (Answer | undefined)[]): void {
  let next = 0;
  gateway.behaviour = () => answers[Math.min(next++, answers.length - 1)];
}

async function failureOf(work: Promise<unknown>): Promise<Error> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as Error).message).not.toContain('\n');
  return error as Error;
}

const writeIds = () => gateway.received.map(({ headers }) => headers['x-amz-meta-hookline-write']);

describe('a failure of S3', () => {
  it('is permanent where the permission is missing, and names it with the place', async () => {
    answering(s3Error(403, 'AccessDenied', 'Access\nDenied'));
    const error = await failureOf(store.put('a/b', bytes));
    expect(error).toBeInstanceOf(PermanentError);
    expect(error.message).toBe(
      'put of s3://some-bucket/in/a/b: permission s3:PutObject (and s3:ListBucket), got AccessDenied, status 403, Access Denied',
    );
    expect(gateway.received).toHaveLength(1);
    answering({ status: 403 });
    expect((await failureOf(store.head('a'))).message).toMatch(
      /^head of s3:\/\/some-bucket\/in\/a: permission s3:GetObject/,
    );
    expect((await failureOf(store.list('a'))).message).toMatch(/permission s3:ListBucket/);
    expect((await failureOf(store.delete('a'))).message).toMatch(/permission s3:DeleteObject/);
  });

  it('keeps neither connection nor signed request as its cause', async () => {
    answering(s3Error(403, 'AccessDenied'));
    const error = await failureOf(store.get('a'));
    expect(Object.keys(error.cause as object)).not.toContain('$response');
    expect((error.cause as Error).message).toBe('about AccessDenied');
  });

  it.each([
    'NoSuchBucket',
    'ExpiredToken',
    'InvalidAccessKeyId',
    'InvalidRequest',
  ])('is permanent for %s', async (code) => {
    answering(s3Error(code === 'NoSuchBucket' ? 404 : 400, code));
    const error = await failureOf(store.get('a'));
    expect(error).toBeInstanceOf(PermanentError);
    expect(error).not.toBeInstanceOf(NoSuchKeyError);
    expect(error.message).toContain(code);
  });

  it.each([
    [503, 'ServiceUnavailable'],
    [500, 'InternalError'],
    [400, 'RequestTimeout'],
  ])('is transient after five attempts for %i %s', async (status, code) => {
    answering(s3Error(status, code));
    expect(await failureOf(store.get('a'))).toBeInstanceOf(TransientError);
    expect(gateway.received).toHaveLength(5);
  });

  it('is transient where no connection comes about, or ends without an answer', async () => {
    answering(undefined);
    expect(await failureOf(store.get('a'))).toBeInstanceOf(TransientError);
    const unheard = await startGateway(() => undefined);
    await unheard.stop();
    process.env.AWS_ENDPOINT_URL_S3 = unheard.endpoint;
    expect(await failureOf(new S3ObjectStore('some-bucket').get('a'))).toBeInstanceOf(TransientError);
    process.env.AWS_ENDPOINT_URL_S3 = gateway.endpoint;
  });

  it('is permanent where there are no credentials or no region', async () => {
    const { AWS_ACCESS_KEY_ID, AWS_REGION } = environment;
    const nowhere = {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/none',
      AWS_SHARED_CREDENTIALS_FILE: '/none',
    };
    Object.assign(process.env, nowhere);
    delete process.env.AWS_ACCESS_KEY_ID;
    const error = await failureOf(store.get('a'));
    process.env.AWS_ACCESS_KEY_ID = AWS_ACCESS_KEY_ID;
    expect(error).toBeInstanceOf(PermanentError);
    expect(error.message).toMatch(/^get of s3:\/\/some-bucket\/in\/a: valid AWS credentials, got /);
    delete process.env.AWS_REGION;
    const nameless = await failureOf(new S3ObjectStore('some-bucket').get('a'));
    Object.assign(process.env, { AWS_REGION });
    for (const name of Object.keys(nowhere)) delete process.env[name];
    expect(nameless).toBeInstanceOf(PermanentError);
    expect(nameless.message).toContain('AWS_REGION');
  });
});

describe('a read of S3', () => {
  it('is repeated where the body breaks off or is not what its checksum says', async () => {
    const whole: Answer = { status: 200, headers: { etag: '"e"', 'content-length': '3' }, body: bytes };
    const damaged: Answer = { ...whole, headers: { ...whole.headers, 'x-amz-checksum-crc32': 'AAAAAA==' } };
    answering(damaged, whole);
    expect(await store.get('a')).toEqual({ bytes, etag: '"e"' });
    expect(gateway.received).toHaveLength(2);
    answering(damaged);
    expect(await failureOf(store.get('a'))).toBeInstanceOf(TransientError);
  });

  it('refuses an object that is too large before it reads it', async () => {
    answering({ status: 200, headers: { etag: '"e"', 'content-length': String(2 ** 31) }, body: 'x' });
    expect((await failureOf(store.get('a'))).message).toBe('object a: at most 2147483647 bytes, got 2147483648 bytes');
  });
});

describe('a conditional write to S3', () => {
  const absent = { ifNoneMatch: '*' } as const;

  it('is refused without further ado where it was sent once', async () => {
    answering(s3Error(412, 'PreconditionFailed'));
    expect(await failureOf(store.put('a', bytes, absent))).toBeInstanceOf(PreconditionFailedError);
    expect(gateway.received).toHaveLength(1);
  });

  it('is refused where S3 says 404 of a missing object', async () => {
    answering(s3Error(404, 'NoSuchKey'));
    expect(await failureOf(store.put('a', bytes, { ifMatch: '"e"' }))).toBeInstanceOf(PreconditionFailedError);
  });

  it('is undecided where S3 says an error within 200, as it has been seen to', async () => {
    answering(s3Error(200, 'PreconditionFailed'));
    expect(await failureOf(store.put('a', bytes, absent))).toBeInstanceOf(TransientError);
  });

  it('has succeeded where it was sent twice and what is stored bears its id', async () => {
    let first = true;
    gateway.behaviour = ({ method }) => {
      if (method === 'HEAD')
        return { ...written, headers: { etag: '"own"', 'x-amz-meta-hookline-write': writeIds()[0] } };
      if (!first) return s3Error(412, 'PreconditionFailed');
      first = false;
      return undefined;
    };
    expect(await store.put('a', bytes, absent)).toEqual({ etag: '"own"' });
    expect(gateway.received.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'HEAD']);
    expect(new Set(writeIds().slice(0, 2)).size).toBe(1);
  });

  it('is refused where it was sent twice and what is stored is of another, or gone', async () => {
    for (const head of [
      { ...written, headers: { etag: '"e"', 'x-amz-meta-hookline-write': 'other' } },
      { status: 404 },
    ]) {
      answering(undefined, s3Error(412, 'PreconditionFailed'), head);
      expect(await failureOf(store.put('a', bytes, absent))).toBeInstanceOf(PreconditionFailedError);
    }
  });

  it('is sent again at a conflict, five times', async () => {
    answering(s3Error(409, 'ConditionalRequestConflict'), s3Error(409, 'ConditionalRequestConflict'), written);
    expect(await store.put('a', bytes, absent)).toEqual({ etag: '"e"' });
    expect(gateway.received).toHaveLength(3);
    answering(s3Error(409, 'ConditionalRequestConflict'));
    const error = await failureOf(store.put('a', bytes, absent));
    expect(error).toBeInstanceOf(ConflictError);
    expect(gateway.received).toHaveLength(8);
  });

  it('carries a checksum, and a new id each time', async () => {
    answering(written);
    await store.put('a', bytes, absent);
    await store.put('a', bytes, absent);
    await store.put('a', bytes);
    expect(gateway.received.every(({ headers }) => headers['x-amz-checksum-crc32'] !== undefined)).toBe(true);
    const [first, second, unconditional] = writeIds();
    expect(first).not.toBe(second);
    expect(unconditional).toBeUndefined();
    expect(gateway.received[0].path).toMatch(/^\/some-bucket\/in\/a(\?|$)/);
  });
});
