/** @file The HTTP service's face. */

export { isLoopback } from './guards.js';
export { loadServedModel } from './load-served-model.js';
export { Service, type ServiceOptions } from './service.js';
export type { ServiceEvent, ServiceLog } from './service-event.js';
