/**
 * @file Gives Node 20 `Promise.withResolvers` (ECMAScript 2024), which the interpreter of state machines needs. Import it
 * for its effect before that package; where the function is there already, nothing happens.
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
