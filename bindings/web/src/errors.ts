/**
 * The errors, named as in Python. A message says what came, what was expected, and what to do.
 */

/** The root: every error that this package throws on purpose is one. */
export class PocketfaceError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.kind;
  }

  /** The class's name, which survives a minifier. */
  static readonly kind: string = "PocketfaceError";
}

/** A picture that cannot be read, or has the wrong shape, type or size. */
export class InvalidImage extends PocketfaceError {
  static override readonly kind = "InvalidImage";
}

/** Landmarks, boxes or rotations of the wrong shape, not finite, or degenerate. */
export class InvalidGeometry extends PocketfaceError {
  static override readonly kind = "InvalidGeometry";
}

/** A contract with an unknown key or version, or values that do not fit together. */
export class InvalidContract extends PocketfaceError {
  static override readonly kind = "InvalidContract";
}

/** A model file that is truncated, damaged, or without a contract. */
export class InvalidModel extends PocketfaceError {
  static override readonly kind = "InvalidModel";
}

/** A sound file that the engine at hand cannot run, or would run wrongly. */
export class UnsupportedModel extends PocketfaceError {
  static override readonly kind = "UnsupportedModel";
}

/** Two embeddings that different networks made, which cannot be compared. */
export class EmbeddingMismatch extends PocketfaceError {
  static override readonly kind = "EmbeddingMismatch";
}

/** An error's first line, for a message that names a cause. */
export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.trim().split("\n", 1)[0]!;
}
