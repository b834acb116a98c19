// SPDX-License-Identifier: Apache-2.0
// CIBA as Auth0 has it (OpenID CIBA Core 1.0, delivery mode poll): who is asked, what the message may be, and when.
import { errors } from 'oidc-provider';

export const CIBA_GRANT = 'urn:openid:params:grant-type:ciba';
const MESSAGE = /^[A-Za-z0-9+\-_.,:# ]{1,64}$/;
const EXPIRY_SECONDS = 300;
const EXPIRY_SECONDS_MAX = 259200;
const INTERVAL_SECONDS = 5;
const SLOWER_SECONDS = 10;
const NOBODY = 'No eligible notification channels were found. guardian-push: User does not have push notifications set up';

// Auth0 names a user by issuer and subject, other providers by what they like.
function userOf({ tenant, issuer }, hint) {
  if (tenant.profile !== 'auth0') return hint;
  let named;
  try { named = JSON.parse(hint); } catch { throw new errors.InvalidRequest('login_hint is no JSON'); }
  if (named.format !== 'iss_sub' || named.iss !== issuer || !named.sub) {
    throw new errors.InvalidRequest('login_hint is not an iss_sub of this tenant');
  }
  if (tenant.not_enrolled?.includes(named.sub)) throw new errors.InvalidRequest(NOBODY);
  return named.sub;
}

export function approvals(world) {
  return {
    enabled: true,
    deliveryModes: ['poll'],
    processLoginHint: async (ctx, hint) => userOf(world, hint),
    verifyUserCode: async () => {},
    validateRequestContext: async () => {},
    validateBindingMessage: async (ctx, message) => {
      if (world.tenant.profile === 'auth0' && !MESSAGE.test(message ?? '')) {
        throw new errors.InvalidBindingMessage('binding_message needs 1 to 64 letters, digits or +-_.,:#');
      }
      const { requested_expiry: asked } = ctx.oidc.params;
      if (asked !== undefined && !(Number(asked) >= 1 && Number(asked) <= EXPIRY_SECONDS_MAX)) {
        throw new errors.InvalidRequest('requested_expiry is not between 1 and 259200');
      }
    },
    triggerAuthenticationDevice: async (ctx, request) => {
      ctx.state.note = { auth_req: request.jti, user: request.accountId, message: ctx.oidc.params.binding_message ?? null,
        authorization_details: ctx.oidc.params.authorization_details ?? null };
    },
  };
}

export const approvalLife = (ctx) => Number(ctx?.oidc?.params?.requested_expiry ?? EXPIRY_SECONDS);

// What the person at the device says, to whom it was sent.
export async function decide(provider, id, deny, grantFor) {
  const request = await provider.BackchannelAuthenticationRequest.find(id);
  if (!request) throw new Error('no such request');
  const { authorization_details: details } = request.params;
  const refusal = new errors.AccessDenied('The authorization request was denied, or it has been expired.');
  await provider.backchannelResult(request, deny ? refusal : await grantFor(request),
    { authTime: Math.floor(Date.now() / 1000), rar: details && JSON.parse(details) });
}

// Auth0 says the interval, calls an expired request denied, and wants a client that asks too often to slow down.
export function asAuth0Says(ctx, world, fields) {
  if (ctx.path === '/bc-authorize' && ctx.body?.auth_req_id) {
    ctx.body.interval = world.tenant.ciba_interval ?? INTERVAL_SECONDS;
  }
  if (fields.grant_type !== CIBA_GRANT || !ctx.body?.error) return;
  if (ctx.body.error === 'expired_token') {
    ctx.body = { error: 'access_denied',
      error_description: 'The authorization request was denied, or it has been expired.' };
  }
  if (ctx.body.error !== 'authorization_pending') return;
  const last = world.polls.get(fields.auth_req_id);
  world.polls.set(fields.auth_req_id, Date.now());
  if (last === undefined || Date.now() - last >= (world.tenant.ciba_interval ?? INTERVAL_SECONDS) * 1000) return;
  ctx.set('Retry-After', String(SLOWER_SECONDS));
  ctx.body = { error: 'slow_down', interval: SLOWER_SECONDS,
    error_description: 'You are polling faster than the specified interval.' };
}
