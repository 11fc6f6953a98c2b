/** Where things lie, from a bundled test in dist-test/. */

export const WEB = new URL("../", import.meta.url);
export const GOLDEN = new URL("../golden/vectors/", WEB);
export const PEOPLE = new URL("../../evaluate/people/", WEB);
