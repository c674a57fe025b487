// Owns a real OAuth server for tests: client credentials, JWT access tokens (RFC 9068), keys that can be rotated.
//
// node issuer.js [PORT]: listens on loopback, prints a JSON line when it does. Each line of standard input is a command,
// answered by a JSON line when it is done: `rotate` replaces all keys, `overlap` adds new ones that sign from now on,
// `late` sets the clock back by more than a token lives, so that what is given has ended.
// The end of standard input ends it.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const AUDIENCE = 'https://postback.example';
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA']; // each has a client of that name

function newKeys() {
  const made = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ed25519'),
  ];
  return made.map(({ privateKey }, at) => ({
    ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: ALGORITHMS[at], kid: randomUUID(),
  }));
}

function provider(issuer, keys) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: ALGORITHMS.map((algorithm) => ({
      client_id: algorithm,
      client_secret: 'secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    scopes: ['postback', 'other'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource, client) => ({
          scope: 'postback other',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: client.clientId } },
        }),
      },
    },
  });
}

let keys = newKeys();
let answer;
const server = createServer((request, response) => answer(request, response));
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const publish = (published) => {
    keys = published;
    answer = provider(issuer, keys).callback();
    console.log(JSON.stringify({ issuer, audience: AUDIENCE, kids: keys.map((key) => key.kid) }));
  };
  const commands = {
    rotate: () => publish(newKeys()),
    overlap: () => publish([...newKeys(), ...keys]),
    late: () => {
      const now = Date.now;
      Date.now = () => now() - 700_000;
      publish(keys);
    },
  };
  publish(keys);
  createInterface({ input: process.stdin })
    .on('line', (command) => commands[command]())
    .on('close', () => process.exit());
});
