/** Numbers as text: what Python's f-strings give for the same doubles. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fixed, general, rate } from "../../src/numbers.js";

const FIXED: [number, number, string][] = [
  [0.03125, 4, "0.0312"], // half-way: to even
  [0.09375, 4, "0.0938"],
  [-0.03125, 4, "-0.0312"],
  [0.125, 2, "0.12"],
  [0.375, 2, "0.38"],
  [2.25, 1, "2.2"],
  [0.15, 1, "0.1"], // below half-way, as a double
  [39.95, 1, "40.0"],
  [0.99995, 4, "1.0000"],
  [1e20, 1, "100000000000000000000.0"],
  [-0, 2, "-0.00"],
  [NaN, 2, "nan"],
  [-Infinity, 1, "-inf"],
];
for (const [x, digits, text] of FIXED) test(`${x} with ${digits} digits`, () => assert.equal(fixed(x, digits), text));

const GENERAL: [number, string][] = [
  [0, "0"],
  [40, "40"],
  [40.5, "40.5"],
  [0.4, "0.4"],
  [100000, "100000"],
  [1e6, "1e+06"],
  [0.0001, "0.0001"],
  [0.00001, "1e-05"],
  [1234567, "1.23457e+06"],
  [999999.5, "1e+06"],
  [NaN, "nan"],
  [Infinity, "inf"],
];
for (const [x, text] of GENERAL) test(`${x} in general`, () => assert.equal(general(x), text));

const RATES: [number | null, string][] = [
  [0.001, "1e-3"],
  [0.25, "2e-1"],
  [0.35, "3e-1"],
  [1e-10, "1e-10"],
  [0.5, "5e-1"],
  [null, "0"],
];
for (const [far, text] of RATES) test(`a rate of ${far}`, () => assert.equal(rate(far), text));
