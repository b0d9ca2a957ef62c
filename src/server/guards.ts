/** @file Access checks that run before any route. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { refusal } from './refusal.js';

const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Whether only this machine can reach a service on this host. */
export const isLoopback = (host: string): boolean =>
  loopbackNames.has(host) || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

/**
 * Lets a service on loopback answer to loopback names only. This stops DNS rebinding, where a website's name is made to
 * point at this machine: the `Host` header then holds the website's name.
 */
export const requireLoopbackName: MiddlewareHandler = async (context, next) => {
  const { hostname } = new URL(context.req.url);
  if (!isLoopback(hostname)) {
    throw refusal(403, `host: ${[...loopbackNames].join(', ')}, got ${hostname}`, { code: 'host_not_allowed' });
  }
  await next();
};

/** Requires JSON bodies. Without CORS, a page of another site can send forms to this service, but no JSON. */
export const requireJson: MiddlewareHandler = async (context, next) => {
  const type = context.req.header('content-type') ?? 'none';
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw refusal(415, `content-type: application/json, got ${type.slice(0, 100)}`, { code: 'content_type' });
  }
  await next();
};

/**
 * Requires the API key. Programs send it as `Authorization: Bearer <key>`. Browsers send it as the password of HTTP
 * Basic authentication, for which they show their own dialog; the user name is ignored.
 */
export function requireKey(key: string): MiddlewareHandler {
  const expected = digest(key);
  return async (context, next) => {
    const given = keyOf(context.req.header('authorization') ?? '');
    if (given === undefined || !timingSafeEqual(digest(given), expected)) {
      const headers = { 'www-authenticate': 'Basic realm="hookline", charset="UTF-8", Bearer' };
      throw refusal(401, 'authorization: the API key of this service, got none or another', {
        code: 'invalid_api_key',
        headers,
      });
    }
    await next();
  };
}

function keyOf(authorization: string): string | undefined {
  const [, scheme, credentials] = /^(Bearer|Basic) +(\S+)$/i.exec(authorization) ?? [];
  if (scheme === undefined) return undefined;
  if (scheme.toLowerCase() === 'bearer') return credentials;
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

/** Digests have equal lengths, which `timingSafeEqual` requires. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
