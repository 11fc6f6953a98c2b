/**
 * Head pose: from six numbers to a rotation, and from a rotation to angles that a person can read.
 *
 * Zero is a face that looks straight into the camera. Yaw > 0: the nose turns to the left of the picture; pitch > 0:
 * the nose turns up; roll > 0: the head tilts clockwise in the picture. `R = Rz(roll) Ry(yaw) Rx(pitch)`.
 */

/** Rows of a 3 x 3 matrix. */
export type Matrix3 = readonly [Vector3, Vector3, Vector3];
type Vector3 = readonly [number, number, number];

/** Where a head looks, in degrees. */
export interface Pose {
  readonly yawDeg: number;
  readonly pitchDeg: number;
  readonly rollDeg: number;
}

const GIMBAL = 1e-6; // below this cosine of the yaw, pitch and roll turn about the same axis

/**
 * Orthonormalise two vectors into a rotation: x = n(a), z = n(x × n(b)), y = z × x are its columns.
 *
 * Source: Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks".
 *
 * @param six the vectors a and b; only their directions matter.
 * @returns all NaN where a is zero, b is parallel to it, or a number is not finite.
 */
export function rotationFrom6d(six: ArrayLike<number>): Matrix3 {
  const first = unit([six[0]!, six[1]!, six[2]!]);
  const z = unit(cross(first, unit([six[3]!, six[4]!, six[5]!])));
  const x = Number.isNaN(z[0]) ? z : first;
  const y = cross(z, x);
  return [
    [x[0], y[0], z[0]],
    [x[1], y[1], z[1]],
    [x[2], y[2], z[2]],
  ];
}

/** Yaw in -90..90, pitch and roll in -180..180 degrees; NaN stays NaN. Looking straight to a side, roll is 0. */
export function eulerAngles([r0, r1, r2]: Matrix3): Pose {
  const cosine = Math.hypot(r0[0], r1[0]);
  const locked = cosine < GIMBAL;
  return {
    yawDeg: degrees(Math.atan2(-r2[0], cosine)),
    pitchDeg: degrees(locked ? Math.atan2(-r1[2], r1[1]) : Math.atan2(r2[1], r2[2])),
    rollDeg: locked ? 0 : degrees(Math.atan2(r1[0], r0[0])),
  };
}

function degrees(radians: number): number {
  return (radians * 180) / Math.PI;
}

function cross(a: Vector3, b: Vector3): Vector3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function unit(v: Vector3): Vector3 {
  const length = Math.hypot(...v);
  if (!(length > 1e-8 && Number.isFinite(length))) return [NaN, NaN, NaN];
  return [v[0] / length, v[1] / length, v[2] / length];
}
