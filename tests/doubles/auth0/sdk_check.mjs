// SPDX-License-Identifier: Apache-2.0
// Auth0's own client against the double. One argument, JSON: domain, clientId, what
// authenticates, and which call to make; prints what it got as one line of JSON.
import { readFileSync } from 'node:fs';
import { AuthClient } from '@auth0/auth0-auth-js';
import { importPKCS8 } from 'jose';

const asked = JSON.parse(process.argv[2]);
const credentials = asked.keyFile
  ? { clientAssertionSigningKey: await importPKCS8(readFileSync(asked.keyFile, 'utf8'), 'RS256') }
  : { clientSecret: asked.clientSecret };
const client = new AuthClient({ domain: asked.domain, clientId: asked.clientId, ...credentials });
try {
  const got = await client[asked.call](asked.options);
  const { accessToken, refreshToken, scope, expiresAt, issuedTokenType, authReqId, expiresIn, interval } = got ?? {};
  console.log(JSON.stringify({ accessToken, refreshToken, scope, expiresAt, issuedTokenType, authReqId, expiresIn,
    interval }));
} catch (error) {
  console.log(JSON.stringify({ error: error.code, cause: error.cause?.error, said: error.cause?.error_description,
    status: error.statusCode }));
}
