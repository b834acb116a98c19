// SPDX-License-Identifier: Apache-2.0
// A real OpenID provider that speaks as an Auth0 tenant does, for tests: see ../README.md.
//
// The first line on standard input is the configuration; the first on standard output says where the provider listens.
// Each further line is a command, answered by one line. End of input ends the provider.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { createInterface } from 'node:readline';
import * as jose from 'jose';
import { AccountApi } from './account_api.mjs';
import { Commands } from './commands.mjs';
import { Faults, Log } from './faults.mjs';
import { makeProvider } from './provider.mjs';
import { Store } from './store.mjs';
import { Vault } from './vault.mjs';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.info = console.error;  // standard output is for answers to commands
const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

// The port is known before the provider is made: the issuer may hold it.
function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server.address().port));
  });
}

function makeServer(configuration, requestCert) {
  return https.createServer({
    cert: readFileSync(configuration.certificate), key: readFileSync(configuration.key),
    ca: readFileSync(configuration.ca_file), requestCert, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2' });
}

function certificateOf(ctx) {
  const { raw } = ctx.req.socket.getPeerCertificate();
  return raw ? new X509Certificate(raw) : undefined;
}

async function main() {
  const configuration = JSON.parse((await lines.next()).value);
  const server = makeServer(configuration, true);
  const port = await listen(server, configuration.port ?? 0);
  const unasking = makeServer(configuration, false);  // the same provider without mutual TLS
  const issuer = configuration.issuer ?? `https://${configuration.name}:${port}/`;
  const tenant = { profile: 'auth0', scope_parameter: true, mfa_policy: 'never', revocation_deletes_grant: false,
    dpop_nonce: false, user: 'auth0|u1', deny: false, scopes: [], apis: {}, ttl: {}, ...configuration.tenant };
  const { privateKey, publicKey } = await jose.generateKeyPair('RS256', { extractable: true });
  const key = { ...await jose.exportJWK(privateKey), alg: 'RS256', use: 'sig', kid: 'double' };
  const store = new Store();
  const vault = new Vault(tenant, issuer, publicKey);
  const world = { configuration, issuer, tenant, tenantAtFirst: structuredClone(tenant), key, publicKey, store, vault,
    server, port, certificateOf, certificates: new Set(), log: new Log(configuration.log), faults: new Faults() };
  world.provider = makeProvider(world);
  world.accountApi = new AccountApi(world);
  for (const each of [server, unasking]) each.on('request', world.provider.callback());
  const commands = new Commands(world);
  say({ port, issuer, unasking_port: await listen(unasking, 0) });
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const command = JSON.parse(line.value);
    try {
      say({ ok: await commands.carryOut(command) ?? null });
    } catch (error) {
      say({ error: error.message });
    }
  }
  process.exit(0);
}

main();
