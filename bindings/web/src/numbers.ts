/** Numbers as text, to the last digit as Python writes them: JavaScript rounds exact halves up, Python to even. */

/** `f"{x:.{digits}f}"`, for 1 digit or more. */
export function fixed(x: number, digits: number): string {
  if (!Number.isFinite(x)) return unusual(x);
  const sign = x < 0 || Object.is(x, -0) ? "-" : "";
  const exact = Math.abs(x).toFixed(100); // no double that lies half-way between two texts has more digits
  const end = exact.length - 100 + digits;
  return (
    sign + (halfway(exact.slice(end)) && even(exact[end - 1]!) ? exact.slice(0, end) : Math.abs(x).toFixed(digits))
  );
}

/** `f"{x:g}"`: six significant digits, without zeros at the end. */
export function general(x: number): string {
  if (!Number.isFinite(x)) return unusual(x);
  const [mantissa, exponent] = x.toExponential(5).split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return trimmed(x.toFixed(5 - power));
  return `${trimmed(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** A rate by its power of ten: 0.001 as `1e-3`, null as `0`. */
export function rate(far: number | null): string {
  if (!far) return "0";
  const [mantissa, exponent] = far.toExponential(100).split("e") as [string, string];
  if (halfway(mantissa.slice(2)) && even(mantissa[0]!)) return `${mantissa[0]}e${exponent}`;
  return far.toExponential(0);
}

function halfway(rest: string): boolean {
  return /^50*$/.test(rest);
}

function even(digit: string): boolean {
  return "02468".includes(digit);
}

function trimmed(digits: string): string {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

function unusual(x: number): string {
  return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
}
