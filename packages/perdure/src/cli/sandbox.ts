/** The sandbox as screens show it. */

/** Wherever tools are shown, and the operator wants none. */
export const NO_SANDBOX = 'none, by your setting: commands of tools run with all rights of the server';
