// SPDX-License-Identifier: Apache-2.0
// GitHub's own App client against the double: what to ask comes on standard input, as JSON.
import { text } from 'node:stream/consumers';
import { createAppAuth } from '@octokit/auth-app';
import { request } from '@octokit/request';

const { baseUrl, appId, privateKey, options } = JSON.parse(await text(process.stdin));
const auth = createAppAuth({ appId, privateKey, request: request.defaults({ baseUrl }) });
try {
  const { token, permissions } = await auth(options);
  console.log(JSON.stringify({ token, permissions }));
} catch (error) {
  console.log(JSON.stringify({ status: error.status }));
}
