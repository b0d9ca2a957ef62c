import { randomBytes } from 'node:crypto';
import type { Hono } from 'hono';
import { listVersions, type ObjectStore } from '../registry/index.js';
import { renderPage } from './page/render-page.js';
import { renderVersions } from './page/versions-section.js';
import type { ServiceEnvironment } from './request-trace.js';
import type { ServedModels } from './served-models.js';
import type { ServiceLimits } from './service-limits.js';

/** `GET /`, and the part of the page that it fetches again when the version changes. */
export function addPageRoutes(
  app: Hono<ServiceEnvironment>,
  models: ServedModels,
  store: ObjectStore,
  limits: ServiceLimits,
): void {
  const modelIds = models.lineages.map(({ modelId }) => modelId);
  const { edited } = models;

  app.get('/', (context) => {
    const nonce = randomBytes(16).toString('base64');
    context.header('content-security-policy', pagePolicy(nonce));
    context.header('cache-control', 'no-store');
    const { modelDigest } = edited;
    return context.html(renderPage({ modelIds, modelDigest, maxTokens: limits.maxTokens, nonce }));
  });

  app.get('/page/versions', async (context) => {
    const lineage = models.lineage(context.req.query('model'));
    const listing = await listVersions(store, lineage.modelId);
    return context.html(await renderVersions(lineage.modelId, listing, lineage.current?.manifest));
  });
}

/** Allows style attributes, which the charts use. Nothing may be loaded from other sites. */
const pagePolicy = (nonce: string): string =>
  `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; style-src-attr 'unsafe-inline'; ` +
  `img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
