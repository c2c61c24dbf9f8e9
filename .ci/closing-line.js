import { existsSync, readFileSync } from 'node:fs';

// Prints 'N passed, N failed[, N skipped]' from jest's results. A test file that could not even be run counts as one failure, and so
// does a run without results.
const [file = ''] = process.argv.slice(2);
const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { numRuntimeErrorTestSuites: 1 };
const count = (name) => results[name] ?? 0;
const failed = count('numFailedTests') + count('numRuntimeErrorTestSuites');
const skipped = count('numPendingTests') + count('numTodoTests');
process.stdout.write(`\n${count('numPassedTests')} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}\n`);
process.exitCode = failed === 0 ? 0 : 1;
