const { TestEnvironment } = require('jest-environment-node');

// A worker of jest lives on when jest itself is killed, and with it the servers of its test. This ends it when the channel to
// jest is gone. (Asked for, not listened to: a listener would hold the channel open, and the worker with it. And here, because
// within a test `process` is a copy that knows of no channel.)
const CHECK_MS = 500;
if (process.connected) setInterval(() => process.connected || process.exit(1), CHECK_MS).unref();

/** jest's own environment for Node. */
module.exports = TestEnvironment;
