// SPDX-License-Identifier: Apache-2.0
// oidc-provider with Auth0's paths, error bodies and client rules; with profile "generic", as any other provider.
import { createHash } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';
import { GRANT as FEDERATED_GRANT, PARAMETERS as FEDERATED_PARAMETERS } from './vault.mjs';
import { EXCHANGE_GRANT, EXCHANGE_PARAMETERS, exchange } from './exchange.mjs';
import { approvalLife, approvals } from './approval.mjs';
import { apisOf, resourceServer } from './resources.mjs';
import { serve } from './serve.mjs';

const CLIENT_PROPERTIES = ['refresh_token', 'app_type', 'resource_server_identifier', 'token_vault_privileged_access',
  'is_first_party', 'oidc_conformant'];
const ASSERTION_BYTES_MAX = 2048;
const ASSERTION_AHEAD_SECONDS = 300;
export const SKEW_SECONDS = 10;

// Auth0's own rules on top of what oidc-provider checks: signature, times, single use.
function assertAssertion(world, ctx, claims, header) {
  if (world.tenant.profile !== 'auth0') return;
  const now = Math.floor(Date.now() / 1000);
  const refuse = (why) => { throw new errors.InvalidClientAuth(why); };
  if (ctx.oidc.params.client_assertion.length > ASSERTION_BYTES_MAX) refuse('client_assertion is too long');
  if (claims.aud !== world.issuer && !(Array.isArray(claims.aud) && claims.aud.includes(world.issuer))) refuse('aud');
  if (claims.exp > now + ASSERTION_AHEAD_SECONDS + SKEW_SECONDS) refuse('exp is too far ahead');
  if (claims.iat > now + SKEW_SECONDS) refuse('iat is in the future');
  if ([claims.iss, claims.sub, claims.jti].some((claim) => String(claim).length > 64)) refuse('a claim is too long');
  if (header.alg.length > 16) refuse('alg is too long');
}

function subjectMatches(ctx, property, expected, certificateOf) {
  const certificate = certificateOf(ctx);
  const alternatives = (certificate.subjectAltName ?? '').split(', ');
  switch (property) {
    case 'tls_client_auth_subject_dn': return certificate.subject.split('\n').join(',') === expected;
    case 'tls_client_auth_san_dns': return alternatives.includes(`DNS:${expected}`);
    case 'tls_client_auth_san_ip': return alternatives.includes(`IP Address:${expected}`);
    default: return false;
  }
}

function features(world) {
  const { tenant, issuer, certificateOf } = world;
  const detailed = (ctx, source) => ctx.oidc.params.authorization_details
    ? JSON.parse(ctx.oidc.params.authorization_details) : source?.rar;
  return {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    ciba: approvals(world),
    introspection: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    dPoP: { enabled: true, nonceSecret: createHash('sha256').update(issuer).digest(),
      requireNonce: () => tenant.dpop_nonce },
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, tlsClientAuth: true,
      getCertificate: (ctx) => {
        const shown = certificateOf(ctx)?.toString();
        if (shown) world.certificates.add(shown);
        return shown;
      },
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => subjectMatches(ctx, property, expected, certificateOf),
    },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: async (_, source) => [source.resource ?? []].flat().length === 1,
      getResourceServerInfo: async (_, resource) => resourceServer(tenant, issuer, resource),
    },
    richAuthorizationRequests: {
      enabled: true,
      types: Object.fromEntries((tenant.authorization_details_types ?? ['mission']).map((type) => [type, {
        validate: async () => {} }])),
      authorizationDetailsForGrantSource: detailed,
      authorizationDetailsForAccessToken: (ctx, token, source) => detailed(ctx, source),
      authorizationDetailsForIntrospection: (ctx, token) => token.rar,
    },
  };
}

// Everybody consents to everything: what a test is about is what comes after.
export async function grantAll(provider, clientId, accountId, scope, resources, apis) {
  const grant = new provider.Grant({ clientId, accountId });
  grant.addOIDCScope(scope || 'openid');
  for (const resource of resources) grant.addResourceScope(resource, apis[resource]?.scopes.join(' ') ?? '');
  return grant;
}

function settings(world) {
  const { tenant, issuer, store, key } = world;
  const lifetime = { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 14 * 86400, DeviceCode: 600,
    AuthorizationCode: 60, Grant: 14 * 86400, IdToken: 3600, Interaction: 600, Session: 86400,
    BackchannelAuthenticationRequest: approvalLife, ...tenant.ttl };
  return {
    adapter: store.adapterFor(),
    jwks: { keys: [key] },
    features: features(world),
    ttl: { ...lifetime,
      AccessToken: (ctx, token) => token.resourceServer?.accessTokenTTL || lifetime.AccessToken,
      ClientCredentials: (ctx, token) => token.resourceServer?.accessTokenTTL || lifetime.ClientCredentials },
    clockTolerance: SKEW_SECONDS,
    scopes: ['openid', 'offline_access', 'profile', 'email', ...tenant.scopes],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth',
      'self_signed_tls_client_auth', 'none'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'RS384', 'PS256', 'ES256'] },
    extraClientMetadata: { properties: CLIENT_PROPERTIES },
    extraParams: ['audience', 'connection', 'connection_scope'],
    cookies: { keys: ['double'] },
    pkce: { required: () => tenant.pkce_required === true },
    formats: { bitsOfOpaqueRandomness: (ctx) => (ctx?.state?.fault?.length ?? 43) * 6 },
    extraTokenClaims: (ctx) => {
      const { length } = ctx?.state?.fault ?? {};
      return length ? { padding: 'x'.repeat(length) } : undefined;
    },
    routes: { authorization: '/authorize', token: '/oauth/token', revocation: '/oauth/revoke',
      introspection: '/oauth/introspect', pushed_authorization_request: '/oauth/par', code_verification: '/activate',
      device_authorization: '/oauth/device/code', backchannel_authentication: '/bc-authorize',
      jwks: '/.well-known/jwks.json', userinfo: '/userinfo' },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token')
      && code.scopes.has('offline_access'),
    rotateRefreshToken: (ctx) => ctx.oidc.client.refresh_token?.rotation_type === 'rotating',
    revokeGrantPolicy: (ctx) => ctx.oidc.route !== 'revocation' || tenant.revocation_deletes_grant,
    assertJwtClientAuthClaimsAndHeader: async (ctx, claims, header) => assertAssertion(world, ctx, claims, header),
    findAccount: async (ctx, sub) => ({
      accountId: sub, claims: async () => ({ sub, name: sub, email: `${sub}@test` }) }),
    loadExistingGrant: async (ctx) => {
      const resources = [ctx.oidc.params.resource ?? []].flat();
      const grant = await grantAll(world.provider, ctx.oidc.client.clientId, ctx.oidc.session.accountId,
        ctx.oidc.params.scope, resources, apisOf(tenant, issuer));
      for (const detail of JSON.parse(ctx.oidc.params.authorization_details ?? '[]')) grant.addRar?.(detail);
      await grant.save();
      return grant;
    },
    discovery: tenant.mtls_name ? { mtls_endpoint_aliases: aliases(tenant.mtls_name) } : {},
  };
}

function aliases(name) {
  return { token_endpoint: `https://${name}/oauth/token`, revocation_endpoint: `https://${name}/oauth/revoke`,
    introspection_endpoint: `https://${name}/oauth/introspect` };
}

export function makeProvider(world) {
  world.settings = settings(world);
  const provider = new Provider(world.issuer, world.settings);
  provider.registerGrantType(FEDERATED_GRANT, (ctx) => world.vault.exchange(ctx, provider), FEDERATED_PARAMETERS);
  provider.registerGrantType(EXCHANGE_GRANT, (ctx) => exchange(ctx, provider, world), EXCHANGE_PARAMETERS,
    ['audience', 'resource']);
  for (const name of ['grant.error', 'revocation.error', 'introspection.error', 'device_authorization.error',
    'pushed_authorization_request.error', 'server_error', 'authorization.error', 'backchannel_authentication.error']) {
    provider.on(name, (ctx, error) => { ctx.state.refusal = error; });
  }
  provider.use(serve(world));
  return provider;
}
