// SPDX-License-Identifier: Apache-2.0
// RFC 8693 as any provider speaks it: a token of this provider for a narrower one that can be revoked by itself. With
// an audience the result is a JWT for that API (On-Behalf-Of), which cannot be revoked. A subject of a type that the
// tenant made itself is Auth0's Custom Token Exchange: its Action takes an ID token of the asking client.
import { jwtVerify } from 'jose';
import { words } from './faults.mjs';
import { refuse } from './vault.mjs';

export const EXCHANGE_GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const EXCHANGE_PARAMETERS = ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type',
  'requested_token_type', 'audience', 'resource', 'scope'];
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token';
const ACTORS_MAX = 4;

async function subjectOf(params, provider, world) {
  if (params.subject_token_type !== ACCESS) throw refuse(400, 'invalid_request', 'subject_token_type is not supported');
  const opaque = await provider.AccessToken.find(params.subject_token);
  if (opaque) return { user: opaque.accountId, scopes: words(opaque.scope), grantId: opaque.grantId };
  try {
    const { payload } = await jwtVerify(params.subject_token, world.publicKey, { issuer: world.issuer });
    return { user: payload.sub, scopes: words(payload.scope), act: payload.act };
  } catch {
    throw refuse(400, 'invalid_grant', 'subject_token is invalid or expired');
  }
}

// A refresh token of a grant of its own comes along where the client may have one and asks for it.
async function customExchange(ctx, provider, world) {
  const { params, client } = ctx.oidc;
  let user;
  try {
    const checks = { issuer: world.issuer, audience: client.clientId, algorithms: ['RS256'] };
    ({ payload: { sub: user } } = await jwtVerify(params.subject_token, world.publicKey, checks));
  } catch {
    throw refuse(400, 'invalid_request', 'The Action rejected the subject token.');
  }
  const scope = words(params.scope).join(' ');
  const grant = new provider.Grant({ clientId: client.clientId, accountId: user });
  grant.addOIDCScope(scope);
  const common = { client, accountId: user, grantId: await grant.save(), scope, gty: EXCHANGE_GRANT };
  const token = new provider.AccessToken(common);
  ctx.oidc.entity('AccessToken', token);
  ctx.body = { access_token: await token.save(), issued_token_type: ACCESS, token_type: 'Bearer',
    expires_in: token.expiration, scope };
  if (words(scope).includes('offline_access') && client.grantTypeAllowed('refresh_token')) {
    const lasting = new provider.RefreshToken({ ...common, authTime: Math.floor(Date.now() / 1000) });
    ctx.body.refresh_token = await lasting.save();
  }
  ctx.state.note = { user };
}

const depthOf = (act) => (act ? 1 + depthOf(act.act) : 0);

export async function exchange(ctx, provider, world) {
  const { params, client } = ctx.oidc;
  for (const name of ['subject_token', 'subject_token_type']) {
    if (!params[name]) throw refuse(400, 'invalid_request', `missing ${name}`);
  }
  if (world.tenant.token_exchange_types?.includes(params.subject_token_type)) {
    return customExchange(ctx, provider, world);
  }
  if (params.requested_token_type && params.requested_token_type !== ACCESS) {
    throw refuse(400, 'invalid_request', 'requested_token_type is not supported');
  }
  const subject = await subjectOf(params, provider, world);
  const wanted = params.scope ? words(params.scope) : subject.scopes;
  if (wanted.some((scope) => !subject.scopes.includes(scope))) {
    throw refuse(400, 'invalid_scope', 'the scope exceeds that of the subject token');
  }
  if (depthOf(subject.act) >= ACTORS_MAX) throw refuse(400, 'invalid_request', 'too many nested actors');
  const { fault } = ctx.state;
  const scopes = fault?.fault === 'wider' ? [...new Set([...wanted, ...fault.scopes])] : wanted;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: subject.user });
  grant.addOIDCScope(scopes.join(' '));
  const token = new provider.AccessToken({ client, accountId: subject.user, grantId: await grant.save(),
    scope: scopes.join(' '), gty: EXCHANGE_GRANT });
  const target = [params.audience ?? params.resource ?? []].flat()[0];
  if (target) {
    const { features: { resourceIndicators } } = world.settings;
    const info = await resourceIndicators.getResourceServerInfo(ctx, target, client);
    token.resourceServer = new provider.ResourceServer(target, info);
    token.extra = { act: { sub: client.clientId, ...(subject.act ? { act: subject.act } : {}) } };
  }
  ctx.oidc.entity('AccessToken', token);
  const value = await token.save();
  Object.assign(ctx.state, { returned: scopes, note: { user: subject.user, audience: target } });
  ctx.body = { access_token: value, issued_token_type: ACCESS, token_type: 'Bearer', expires_in: token.expiration,
    scope: scopes.join(' ') };
}
