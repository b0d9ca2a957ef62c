import type { Hono } from 'hono';
import { InvalidInputError } from '../errors.js';
import { listVersions, type ObjectStore } from '../registry/index.js';
import { refusal } from './refusal.js';
import type { ServiceEnvironment } from './request-trace.js';
import { baseName, type ServedModels } from './served-models.js';

/** A report contains its own script. The policy gives it an isolated origin and keeps it from loading anything. */
const reportPolicy =
  "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** `GET /v1/models`, `/versions` and `/versions/<n>/report`, the latter two with `?model=<id>`. */
export function addVersionRoutes(app: Hono<ServiceEnvironment>, models: ServedModels, store: ObjectStore): void {
  const startedAt = Math.floor(Date.now() / 1000);

  app.get('/v1/models', async (context) => {
    const names = await Promise.all(
      models.lineages.map(async ({ modelId }) => {
        const { published } = await listVersions(store, modelId);
        return [modelId, ...published.map(({ version }) => `${modelId}@${version}`)];
      }),
    );
    const entry = (id: string) => ({ id, object: 'model', created: startedAt, owned_by: 'hookline' });
    return context.json({ object: 'list', data: [...names.flat(), baseName].map(entry) });
  });

  app.get('/versions', async (context) => {
    const { modelId, current } = models.lineage(context.req.query('model'));
    const listing = await listVersions(store, modelId);
    return context.json({ modelId, serving: current?.manifest.version ?? null, ...listing });
  });

  app.get('/versions/:version{\\d{1,6}}/report', async (context) => {
    const lineage = models.lineage(context.req.query('model'));
    const version = Number(context.req.param('version'));
    const report = await lineage.report(version).catch((error: unknown) => {
      if (error instanceof InvalidInputError) throw refusal(404, error.message, { code: 'version_not_found' });
      throw error;
    });
    if (report === undefined) {
      throw refusal(404, `version ${version}: a report, got none`, { code: 'report_not_found' });
    }
    return context.body(Buffer.from(report), 200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': reportPolicy,
    });
  });
}
