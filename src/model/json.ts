/** JSON values, and the text that carries them: payloads travel as text and are parsed late. */

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [k: string]: Json };

/** Text that is known to be one valid JSON value (checked at the edge, or made by JSON.stringify). */
export type JsonText = string;
