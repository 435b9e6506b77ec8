#!/usr/bin/env node
// Runs on every host. Try it here first:  cronium-run exec local .
'use strict';

const { execFileSync } = require('node:child_process');
const os = require('node:os');

// Calls a helper and returns what it prints.
function cronium(...args) {
  return execFileSync('cronium', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

// What was given with --input; null when nothing was.
const input = JSON.parse(cronium('input'));
console.log(`hello from ${os.hostname()}, level ${process.env.LEVEL}, input ${JSON.stringify(input)}`);

// What stands here is the host's result.
cronium('output', JSON.stringify({ host: os.hostname(), kernel: os.release() }));
