// Saves settings as pi does: `node pi_writer.mjs PATH NAME EDITS` adds one to its own NAME with each edit.
// It prints how many edits were committed and how many it gave up, as pi does after ten tries for the lock.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../clients/package.json", import.meta.url));
const { lockSync } = require("proper-lockfile");

const TRIES = 10;
const PAUSE_MS = 20;

function lock(path) {
  for (let tried = 1; ; tried++) {
    try {
      return lockSync(path, { realpath: false });
    } catch (error) {
      if (error.code !== "ELOCKED") throw error;
      if (tried === TRIES) return undefined;
    }
    const began = Date.now();
    while (Date.now() - began < PAUSE_MS);
  }
}

const [path, name, edits] = process.argv.slice(2);
let committed = 0;
let gaveUp = 0;
for (let turn = 0; turn < Number(edits); turn++) {
  const unlock = lock(path);
  if (!unlock) {
    gaveUp++;
    continue;
  }
  try {
    const settings = JSON.parse(readFileSync(path, "utf-8"));
    if (settings[name] !== committed) throw new Error(`${name} was ${committed} and is ${settings[name]}`);
    settings[name] = ++committed;
    writeFileSync(path, JSON.stringify(settings, null, 2), "utf-8");
  } finally {
    unlock();
  }
}
process.stdout.write(JSON.stringify({ committed, gaveUp }));
