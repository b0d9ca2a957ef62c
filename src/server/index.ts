/** @file The public exports of the HTTP service. */

export { isLoopback } from './guards.js';
export { loadServedModel } from './load-served-model.js';
export { Service, type ServiceOptions } from './service.js';
export type { ServiceEvent, ServiceLog } from './service-event.js';
