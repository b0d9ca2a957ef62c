import type { Hono } from 'hono';
import type { ServiceEnvironment } from './request-trace.js';
import type { ServedModels } from './served-models.js';
import type { ServiceMetrics } from './service-metrics.js';

/** `GET /healthz`, `/readyz` and `/metrics`. @param isStopping whether the service refuses new requests */
export function addHealthRoutes(
  app: Hono<ServiceEnvironment>,
  models: ServedModels,
  metrics: ServiceMetrics,
  isStopping: () => boolean,
): void {
  app.get('/healthz', (context) => context.json({ alive: true }));

  app.get('/readyz', (context) => {
    const states = models.lineages.map((lineage) => {
      const { modelId, isReady, current, trouble } = lineage;
      const state = { version: current?.manifest.version ?? null, isReady };
      const reason = trouble ?? (isReady ? undefined : 'its first version is being prepared');
      return [modelId, { ...state, ...(reason !== undefined && { reason }) }] as const;
    });
    const isReady = !isStopping() && states.every(([, state]) => state.isReady);
    const stopping = isStopping() ? { reason: 'the service stops' } : {};
    return context.json({ ready: isReady, ...stopping, models: Object.fromEntries(states) }, isReady ? 200 : 503);
  });

  app.get('/metrics', async (context) => {
    const { contentType, body } = await metrics.text();
    return context.body(body, 200, { 'content-type': contentType });
  });
}
