// SPDX-License-Identifier: Apache-2.0
// The APIs that the provider gives tokens for: those of the tenant, and Auth0's own two.
import { errors } from 'oidc-provider';

export function apisOf(tenant, issuer) {
  return { ...tenant.apis,
    [`${issuer}me/`]: { scopes: ['create', 'read', 'delete'].map((verb) => `${verb}:me:connected_accounts`) },
    [`${issuer}api/v2/`]: { scopes: ['read:users', 'delete:refresh_tokens', 'delete:sessions'] } };
}

export function resourceServer(tenant, issuer, resource) {
  const api = apisOf(tenant, issuer)[resource];
  if (!api) throw new errors.InvalidTarget(`Service not found: ${resource}`);
  return { scope: api.scopes.join(' '), audience: resource, accessTokenTTL: api.ttl ?? 86400,
    accessTokenFormat: api.format ?? 'jwt', jwt: { sign: { alg: 'RS256' } } };
}
