/** Stops what jest-global-setup.js started, and deletes its data. */
export default async function stopServers() {
  await globalThis.atesTestPostgres?.stop();
}
