#!/usr/bin/env node
// Runs on every host. Try it here first:  cronium-run exec local . --input '{"name": "Ada"}'
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const cronium = require('cronium');

// What was given with --input; a path picks inside it.
const name = cronium.input('.name', { default: 'world' });

// A variable, kept on your side: no addition is lost, however many hosts add at once.
const visits = cronium.incr(`visits/${process.env.CRONIUM_HOST}`);
console.log(`hello ${name} from ${os.hostname()}, visit ${visits}, level ${process.env.LEVEL}`);

// What is put here comes back:  cronium-run artifacts last -o out
fs.writeFileSync(path.join(process.env.CRONIUM_OUT, 'cpus.json'), JSON.stringify(os.cpus()));

// The host's result, in the ledger and in -o json.
cronium.output({ kernel: os.release(), visits });
