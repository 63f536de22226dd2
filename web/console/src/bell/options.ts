/** The options of the bell of all pages. Components that use the same options share its data. */
export const BELL = { pageSize: 20 };
