// Reads models.json as pi does: `node pi_reader.mjs < models.json` prints what it understands as strict JSON.

import { readFileSync } from "node:fs";

const STRING = String.raw`"(?:\\.|[^"\\])*"`;
const comment = new RegExp(String.raw`${STRING}|\/\/[^\n]*`, "g");
const lastComma = new RegExp(String.raw`${STRING}|,(\s*[}\]])`, "g");

const text = readFileSync(0, "utf-8").replace(/^\ufeff/, "");
const bare = text.replace(comment, (found) => (found.startsWith('"') ? found : ""));
const strict = bare.replace(lastComma, (found, end) => end ?? found);
process.stdout.write(JSON.stringify(JSON.parse(strict)));
