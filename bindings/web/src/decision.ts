/** From a cosine to a decision that can be stood by: "the same person, at a FAR of 1 in 1000". */

import type { Recognition } from "./contract.js";
import { fixed, rate } from "./numbers.js";

/** What two faces' cosine means for the file that embedded them. As text, one plain sentence. */
export class Decision {
  constructor(
    /** -1..1. */
    readonly cosine: number,
    /** The strictest FAR at whose threshold they pass for one person; null if they pass at none. */
    readonly far: number | null = null,
    /** That threshold; if they pass at none, the most lenient one; null for a file without thresholds. */
    readonly threshold: number | null = null,
    /** The most lenient FAR that the file has a threshold for; null for a file without. */
    readonly lenient: number | null = null,
  ) {}

  /** Whether the file has thresholds; without them a cosine says nothing. */
  get calibrated(): boolean {
    return this.lenient !== null;
  }

  /** Whether they pass for one person at this FAR, as far as the file's thresholds say: in doubt not. */
  sameAt(far: number): boolean {
    return this.far !== null && this.far <= far;
  }

  toString(): string {
    const cosine = `cosine ${fixed(this.cosine, 4)}`;
    if (this.threshold === null) {
      return (
        `${cosine}; the model is not calibrated, so no threshold says whether that is one person: ` +
        "run `pocketface calibrate`"
      );
    }
    const threshold = fixed(this.threshold, 4);
    if (this.far === null) return `not the same person: ${cosine} < ${threshold}, at FAR ${rate(this.lenient)}`;
    return `same person at FAR ${rate(this.far)}: ${cosine} >= ${threshold}`;
  }
}

/** Hold a cosine against the thresholds of the file that embedded both faces. */
export function decide(cosine: number, task: Recognition): Decision {
  if (!task.calibration) return new Decision(cosine);
  const { thresholds } = task.calibration; // from lenient to strict
  const passed = thresholds.filter(({ score }) => cosine >= score);
  const reached = passed.at(-1) ?? thresholds[0]!;
  return new Decision(cosine, passed.length ? reached.far : null, reached.score, thresholds[0]!.far);
}
