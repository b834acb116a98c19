// SPDX-License-Identifier: Apache-2.0
// Lets scripts in this folder import the packages that scripts/setup put into build/doubles.
import { registerHooks } from 'node:module';

const installed = new URL('../../build/doubles/installed.mjs', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isOurs = context.parentURL?.includes('/tests/doubles/');
    const isPackage = !/^(\.|\/|node:|file:)/.test(specifier);
    return next(specifier, isOurs && isPackage ? { ...context, parentURL: installed } : context);
  },
});
