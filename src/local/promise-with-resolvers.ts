/**
 * @file Adds `Promise.withResolvers` (ECMAScript 2024) to Node 20, because the interpreter of state machines needs it.
 *   Import it for its effect before that package. It does nothing if the function exists already.
 */

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve: (value: T | PromiseLike<T>) => void;
  reject: (reason?: unknown) => void;
}

function withResolvers<T>(this: PromiseConstructor): PromiseWithResolvers<T> {
  const parts: Partial<PromiseWithResolvers<T>> = {};
  parts.promise = new this<T>((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts as PromiseWithResolvers<T>;
}

if (!('withResolvers' in Promise)) {
  Object.defineProperty(Promise, 'withResolvers', { value: withResolvers, configurable: true, writable: true });
}
