// SPDX-License-Identifier: Apache-2.0
// Judges .glb files with the Khronos glTF Validator: node gltf_validate.mjs PATH_OF_THE_PACKAGE FILE...
// Prints one JSON object: file -> {numErrors, numWarnings, messages}. Exit code 0 means that it could judge.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const validator = createRequire(pathToFileURL(folder + "/"))("gltf-validator");
const verdicts = {};
for (const file of files) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(file)), { maxIssues: 100 });
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  verdicts[file] = { numErrors, numWarnings, numInfos, numHints, messages, info: report.info };
}
console.log(JSON.stringify(verdicts));
