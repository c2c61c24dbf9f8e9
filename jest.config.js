/** @type {import('jest').Config} */
export default {
  testMatch: ['**/src/**/*.spec.ts', '**/test/**/*.test.ts', '<rootDir>/e2e/**/*.test.ts', '<rootDir>/scripts/**/*.test.ts', '<rootDir>/deploy/**/*.test.ts', '<rootDir>/simulation/**/*.test.ts', '<rootDir>/chaos/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  modulePathIgnorePatterns: ['<rootDir>/.cache/', '<rootDir>/.data/', '<rootDir>/bench/gateway/peers/'],
  watchPathIgnorePatterns: ['<rootDir>/.cache/', '<rootDir>/.data/', '<rootDir>/bench/gateway/peers/'],
  transform: { '\\.ts$': '<rootDir>/scripts/jest-strip-types.js' },
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  testEnvironment: '<rootDir>/scripts/jest-environment.cjs',
  globalSetup: '<rootDir>/scripts/jest-global-setup.js',
  globalTeardown: '<rootDir>/scripts/jest-global-teardown.js',
  cacheDirectory: '<rootDir>/.cache/jest',
  coverageProvider: 'v8',
  maxWorkers: 2,
  testTimeout: 30_000,
};
