// Helpers of a cronium-run script: its input, its output, and variables shared by hosts and runs.

declare namespace cronium {
  type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
  type Scope = 'run' | 'host' | 'project' | 'global';
  type Level = 'debug' | 'info' | 'warn' | 'warning' | 'error';

  interface Default<T> {
    /** Returned where there is no such value; without it, MissingVariable is thrown. */
    default?: T;
  }

  interface Scoped {
    /** Without one, the nearest scope that has the key is meant, else the widest. */
    scope?: Scope;
  }

  /** What this run is. */
  interface Context {
    executionId: string;
    eventId: string;
    eventName: string;
    eventType: string;
    userId: string;
    startTime: string;
    metadata: { [name: string]: Json };
  }

  /** The run's input, null where there is none; `path` picks inside: `.a.b[0]`, `.["odd key"]`. */
  function input(path?: string, options?: Default<any>): any;
  /** What this run is, or one field of it: `.metadata.ticket`. */
  function event(): Context;
  function event(field: string, options?: Default<any>): any;
  /** Sets the output of the run's result; `append` puts it behind what stands there, as a list. */
  function output(value: any, options?: { append?: boolean }): void;

  /** The value of a variable. Throws MissingVariable where there is none and no default. */
  function getVariable<T = any>(key: string, options?: Scoped & Default<T>): T;
  /**
   * Sets a variable and returns its new version. `ifVersion`: only while this is its version,
   * else VersionConflict; 0: only while there is none.
   */
  function setVariable(key: string, value: any, options?: Scoped & { ifVersion?: number }): number;
  /** The version of a variable, for `ifVersion`; 0 where there is none. */
  function version(key: string, options?: Scoped): number;
  /** Adds `n`, or 1, and returns the sum. No addition is lost, however many add at once. */
  function incr(key: string, n?: number, options?: Scoped): number;
  /** The keys this script may read; in `pattern`, `*` stands for any characters. */
  function vars(pattern?: string): string[];
  /** Removes a variable. Throws MissingVariable where there is none. */
  function unset(key: string, options?: Scoped): void;

  /** Says whether what the script looked for is so. The last one counts. */
  function condition(value: boolean): void;
  /** Tells the operator a message beside the output. */
  function log(level: Level, message: string, context?: any): void;
  /** Tells how far the script is: `n` percent, 0 to 100. */
  function progress(n: number, step?: string): void;
  /** Tells the operator's side a message for people. */
  function notify(audience: string, message: string): void;

  const get_variable: typeof getVariable;
  const set_variable: typeof setVariable;

  /** A call was refused, or nobody is there to answer it. */
  class CroniumError extends Error {
    /** The helper API's: 400, 403, 404, 409, 413, 429; 503 out of reach. */
    status: number;
  }
  class MissingVariable extends CroniumError {}
  class VersionConflict extends CroniumError {}
}

export = cronium;
export as namespace cronium;
