/**
 * Checks of parsed JSON, one small function for each kind. A check returns the value with its type, or throws a
 * `SchemaError` that says what came, what was expected and where.
 */

/** A value is not what the schema says. */
export class SchemaError extends Error {}

export type Check<T> = (value: unknown, at: string) => T;
/** The type that a check returns. */
export type Checked<C> = C extends Check<infer T> ? T : never;

/** Text, perhaps of a pattern. */
export function text(pattern?: RegExp): Check<string> {
  return (value, at) => {
    if (typeof value !== "string") throw expected("str", value, at);
    if (pattern && !pattern.test(value))
      throw new SchemaError(`Expected \`str\` matching regex '${pattern.source}'${where(at)}`);
    return value;
  };
}

export const flag: Check<boolean> = (value, at) => {
  if (typeof value !== "boolean") throw expected("bool", value, at);
  return value;
};

/** A finite number within least..most. */
export function number(least = -Infinity, most = Infinity): Check<number> {
  return (value, at) => {
    if (typeof value !== "number") throw expected("float", value, at);
    return within(value, least, most, "float", at);
  };
}

/** A whole number within least..most. */
export function whole(least = -Infinity, most = Infinity): Check<number> {
  return (value, at) => {
    if (!Number.isSafeInteger(value)) throw expected("int", value, at);
    return within(value as number, least, most, "int", at);
  };
}

/** One of some texts. */
export function oneOf<const T extends string>(...texts: T[]): Check<T> {
  return (value, at) => {
    if (typeof value !== "string") throw expected("str", value, at);
    if (!texts.includes(value as T)) throw new SchemaError(`Invalid enum value '${value}'${where(at)}`);
    return value as T;
  };
}

/** So many values, one after another. */
export function tuple<const C extends readonly Check<unknown>[]>(
  ...checks: C
): Check<{ readonly [I in keyof C]: Checked<C[I]> }> {
  return (value, at) => {
    const items = array(value, at);
    if (items.length !== checks.length) {
      throw new SchemaError(`Expected \`array\` of length ${checks.length}${where(at)}`);
    }
    return checks.map((check, i) => check(items[i], `${at}[${i}]`)) as { [I in keyof C]: Checked<C[I]> };
  };
}

/** Any number of values of one kind, but `least`. */
export function list<T>(check: Check<T>, least = 0): Check<readonly T[]> {
  return (value, at) => {
    const items = array(value, at);
    if (items.length < least) throw new SchemaError(`Expected \`array\` of length >= ${least}${where(at)}`);
    return items.map((item, i) => check(item, `${at}[${i}]`));
  };
}

/** Names to values of one kind. */
export function record<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value, at) => {
    const pairs = Object.entries(object(value, at)).map(([key, item]) => [key, check(item, `${at}[...]`)] as const);
    return Object.fromEntries(pairs);
  };
}

/** A field that may be left out, and what it then is. */
export interface Optional<T> {
  readonly check: Check<T>;
  readonly otherwise: T;
}

export function optional<T>(check: Check<T>): Optional<T | undefined>;
export function optional<T>(check: Check<T>, otherwise: T): Optional<T>;
export function optional<T>(check: Check<T>, otherwise?: T): Optional<T | undefined> {
  return { check, otherwise };
}

type Fields = Readonly<Record<string, Check<unknown> | Optional<unknown>>>;
type FieldType<F> = F extends Optional<infer T> ? T : Checked<F>;

/** An object with exactly these fields. */
export function struct<const F extends Fields>(fields: F): Check<{ readonly [K in keyof F]: FieldType<F[K]> }> {
  return (value, at) => {
    const came = object(value, at);
    const unknown = Object.keys(came).find((key) => !Object.hasOwn(fields, key));
    if (unknown !== undefined) throw new SchemaError(`Object contains unknown field \`${unknown}\`${where(at)}`);
    const pairs = Object.entries(fields).map(([key, field]) => [key, take(came, key, field, at)]);
    return Object.fromEntries(pairs) as { [K in keyof F]: FieldType<F[K]> };
  };
}

function take(came: Record<string, unknown>, key: string, field: Fields[string], at: string): unknown {
  const check = typeof field === "function" ? field : field.check;
  if (Object.hasOwn(came, key)) return check(came[key], `${at}.${key}`);
  if (typeof field === "function") throw new SchemaError(`Object missing required field \`${key}\`${where(at)}`);
  return field.otherwise;
}

/** The value of an object's field, before it is known which struct it is. */
export function tagOf(value: unknown, key: string, at: string): unknown {
  const came = object(value, at);
  return Object.hasOwn(came, key) ? came[key] : undefined;
}

/** Where a value stands, for a message. */
export function where(at: string): string {
  return at === "$" ? "" : ` - at \`${at}\``;
}

function within(value: number, least: number, most: number, kind: string, at: string): number {
  if (!Number.isFinite(value)) throw new SchemaError(`Number out of range${where(at)}`);
  if (value < least) throw new SchemaError(`Expected \`${kind}\` >= ${least}${where(at)}`);
  if (value > most) throw new SchemaError(`Expected \`${kind}\` <= ${most}${where(at)}`);
  return value;
}

function array(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw expected("array", value, at);
  return value;
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw expected("object", value, at);
  return value as Record<string, unknown>;
}

function expected(kind: string, value: unknown, at: string): SchemaError {
  return new SchemaError(`Expected \`${kind}\`, got \`${kindOf(value)}\`${where(at)}`);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  return { string: "str", boolean: "bool" }[typeof value as "string" | "boolean"] ?? "object";
}
