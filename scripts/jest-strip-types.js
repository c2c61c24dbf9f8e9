import { stripTypeScriptTypes } from 'node:module';

/** jest's transformer: what Node itself does to a TypeScript file. Types become blanks, so lines and columns stay the source's. */
export default {
  process: (sourceText) => ({ code: stripTypeScriptTypes(sourceText) }),
};
