const { TestEnvironment } = require('jest-environment-node');

// A worker of jest lives on when jest itself is killed, and with it the servers of its test. This ends it: the channel to jest breaks.
// (It has to be said here: within a test, `process` is a copy that hears no such events.)
if (process.connected) process.once('disconnect', () => process.exit(1));

/** jest's own environment for Node. */
module.exports = TestEnvironment;
